/** `agentsight-ts explain`: how filters are understood, ours and AgentSight's. */
import type { Translation } from '../../analyzers/where/agentsight.ts';
import { explainWhere, formatWhere } from '../../analyzers/where/explain.ts';
import type { Expression } from '../../analyzers/where/expression.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import { AgentsightError } from '../errors.ts';
import type { CommandFlags } from './options.ts';

/** Throws USAGE when there is nothing to explain, or it cannot be read. */
export function explain(filters: readonly string[], { httpFilter = [], sslFilter = [] }: CommandFlags): number {
  const translated = [...httpFilter, ...sslFilter];
  if (filters.length + translated.length === 0) {
    throw new AgentsightError('USAGE', 'could not explain: there is no filter', { hint: "agentsight-ts explain 'status >= 400'" });
  }
  const parts = [
    ...filters.map((text) => shown('events are kept where', parseWhere(text))),
    ...translated.map(({ expression, option, traps }: Translation) => [
      ...shown(option === '--exclude' ? 'events are left out where' : 'chunks are left out, before anything is parsed of them, where', expression), `  as ours: ${option} '${formatWhere(expression)}'`, ...traps.map((trap) => `  note: ${trap}`),
    ]),
  ];
  process.stdout.write(`${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`);
  return 0;
}

function shown(what: string, expression: Expression): readonly string[] {
  return [what, ...explainWhere(expression, '  '), `  in full: ${formatWhere(expression)}`];
}
