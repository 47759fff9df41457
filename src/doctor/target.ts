/** What a trace of one process would find: whether it is there, and where its TLS would be hooked. */
import { loadAddon } from '../addon.ts';
import { causeText } from '../errors.ts';
import { hasEnded, readExecutableMappings, readLink, readStat } from '../runners/proc.ts';
import type { Mapping } from '../runners/proc.ts';
import { locateTls } from '../runners/tls-locate.ts';
import type { TlsPlan } from '../runners/tls-locate.ts';
import { missing, note, ok } from './check.ts';
import type { Check } from './check.ts';

export function checkTarget(pid: number): readonly Check[] {
  const name = `pid ${pid}`;
  const stat = readStat(pid);
  if (stat === null) return [missing(name, 'there is no such process', { fix: 'find it with: pgrep -a NAME', exit: 5 })];
  if (hasEnded(stat)) return [missing(name, `${stat.comm} has ended and only waits for its parent`, { fix: null, exit: 5 })];
  const executable = readLink(`/proc/${pid}/exe`);
  const mappings = readExecutableMappings(pid);
  if (executable === null || mappings === null) {
    const kernelThread = readLink(`/proc/${pid}/exe`) === null && process.getuid?.() === 0;
    if (kernelThread) return [missing(name, `${stat.comm} is a kernel thread: there is nothing to trace`, { fix: null, exit: 5 })];
    return [missing(name, `${stat.comm} may not be looked at by this user`, { fix: `sudo agentsight-ts doctor --pid ${pid}`, exit: 3 })];
  }
  return [ok(name, `${stat.comm}, ${executable}`), ...checkTls(name, mappings)];
}

function checkTls(name: string, mappings: readonly Mapping[]): readonly Check[] {
  let readElf;
  try {
    ({ readElf } = loadAddon());
  } catch (cause) {
    return [missing(`${name}: tls`, causeText(cause), { fix: 'npm run setup', exit: 4 })];
  }
  const found: Check[] = [];
  for (const mapping of mappings) {
    const check = describe(`${name}: tls`, mapping.path, locateTls(mapping.reachable, readElf));
    if (check !== undefined) found.push(check);
  }
  if (found.length > 0) return found;
  return [note(`${name}: tls`, 'no TLS library found in it now; one that it loads later is hooked then')];
}

/** Undefined for a file without TLS. */
function describe(name: string, path: string, plan: TlsPlan): Check | undefined {
  switch (plan.kind) {
    case 'none':
      return undefined;
    case 'hook':
      return ok(name, `${plan.library} in ${path}, hooked at ${plan.functions.join(', ')}`);
    case 'unsupported':
      return missing(name, `${path}: ${plan.reason}`, { fix: null, exit: 0 });
    case 'failed':
      return note(name, `${path}: ${plan.reason}`);
  }
}
