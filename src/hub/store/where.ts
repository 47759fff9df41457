/**
 * Filters of the API: the expressions of the analyzer, run over rows by the
 * analyzer's own code, so that both give the same answer. What an expression
 * asks of a row's own columns the store is asked as well: it then need not read
 * the data of rows that cannot fit.
 */
import type { Expression } from '../../../analyzers/where/expression.ts';
import { compileWhere } from '../../../analyzers/where/matches.ts';
import { parseWhere } from '../../../analyzers/where/parse.ts';
import type { Event } from '../../event.ts';
import { withPayloadBytes } from '../../event-parse.ts';
import { nanoseconds } from '../../time.ts';
import type { Parameters } from './client.ts';
import { parseJson, type EventRow } from './rows.ts';

export interface RowFilter {
  fits(row: EventRow): boolean;
  /** SQL that is true of every row that fits; null: nothing is known. */
  readonly condition: string | null;
  readonly parameters: Parameters;
}

/** Throws USAGE, pointing at the column. */
export function createRowFilter(text: string): RowFilter {
  const expression = parseWhere(text);
  const fits = compileWhere(expression);
  const parameters: Record<string, readonly string[]> = {};
  return { fits: (row) => fits(eventOf(row)), condition: conditionOf(expression, parameters), parameters };
}

function eventOf({ time, source, pid, comm, id, process, session, data }: EventRow): Event {
  const value = parseJson(data);
  return {
    timestamp: nanoseconds(BigInt(time)), source, pid: Number(pid), comm, id,
    process: process === '' ? null : process, session: session === '' ? null : session,
    // The store took the line's data as the text it was: a row that is no object has no fields.
    data: typeof value === 'object' && value !== null ? withPayloadBytes(value) : {},
  } as unknown as Event;
}

const TEXT_COLUMNS = ['source', 'comm', 'id', 'process', 'session'];

function conditionOf(expression: Expression, parameters: Record<string, readonly string[]>): string | null {
  switch (expression.kind) {
    case 'all': {
      const parts = expression.of.map((part) => conditionOf(part, parameters)).filter((part) => part !== null);
      return parts.length === 0 ? null : parts.join(' AND ');
    }
    case 'any': {
      const parts = expression.of.map((part) => conditionOf(part, parameters));
      return parts.includes(null) ? null : `(${parts.map((part) => `(${part ?? ''})`).join(' OR ')})`;
    }
    case 'not':
    case 'present': return null;
    case 'compare': return comparison(expression, parameters);
  }
}

function comparison({ field, operator, values }: Extract<Expression, { kind: 'compare' }>, parameters: Record<string, readonly string[]>): string | null {
  const [column = '', ...deeper] = field.paths[0] ?? [];
  if (operator !== '=' || field.paths.length !== 1 || deeper.length > 0) return null;
  const isPid = column === 'pid';
  if (!isPid && !TEXT_COLUMNS.includes(column)) return null;
  // `null` is an empty text in the store, and a number may be written in many ways.
  if (values.some(({ text, quoted }) => (isPid ? quoted || !/^\d{1,10}$/.test(text) : !quoted && text === 'null'))) return null;
  const name = `where_${Object.keys(parameters).length}`;
  parameters[name] = values.map(({ text }) => (isPid ? String(Number(text)) : text));
  return `${isPid ? 'toString(pid)' : column} IN {${name}:Array(String)}`;
}
