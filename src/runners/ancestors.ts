/** Who started a process: its parents, as /proc has them now. */
import type { Ancestor } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { readStat } from './proc.ts';

/** The process of this pid and those above it, up to the first one. A pid given out anew cannot lead in a circle for ever. */
export function readAncestors(pid: number, identity: Identity): Ancestor[] {
  const ancestors: Ancestor[] = [];
  let stat = readStat(pid);
  while (stat !== null && ancestors.length < LIMITS.ancestors) {
    ancestors.push({ pid: stat.pid, process: identity.processKeyOfTicks(stat.startTicks, stat.pid), comm: stat.comm });
    stat = stat.ppid === 0 ? null : readStat(stat.ppid);
  }
  return ancestors;
}
