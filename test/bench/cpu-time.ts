/** CPU time of processes: on a machine that others use as well, it says more than the clock. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, the unit of /proc/PID/stat: 100 on every Linux that Node runs on. */
const TICK_US = 10_000;

interface Times {
  readonly parent: number;
  /** User and system time of all threads. */
  readonly ownUs: number;
  /** The same of children that have ended and were waited for. */
  readonly childrenUs: number;
}

function timesOf(pid: number | 'self'): Times | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // After the name in brackets: state, parent; utime is the 14th field of all.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number);
    const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
    return { parent: fields[1] ?? 0, ownUs: (utime + stime) * TICK_US, childrenUs: (cutime + cstime) * TICK_US };
  } catch {
    return null;
  }
}

/** Of one process and its threads; 0 when it has gone. */
export function cpuUs(pid: number): number {
  return timesOf(pid)?.ownUs ?? 0;
}

/** Of all that descend from a process and run now, with those that they waited for. */
export function descendantsCpuUs(pid: number): number {
  const children = new Map<number, number[]>();
  const times = new Map<number, Times>();
  for (const name of readdirSync('/proc')) {
    const found = /^\d+$/.test(name) ? timesOf(Number(name)) : null;
    if (found === null) continue;
    times.set(Number(name), found);
    children.set(found.parent, [...(children.get(found.parent) ?? []), Number(name)]);
  }
  let sum = 0;
  const pending = [...(children.get(pid) ?? [])];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const found = times.get(next);
    sum += (found?.ownUs ?? 0) + (found?.childrenUs ?? 0);
    pending.push(...(children.get(next) ?? []));
  }
  return sum;
}

/** Of our own children that have ended, and of theirs. */
export function endedChildrenCpuUs(): number {
  return timesOf('self')?.childrenUs ?? 0;
}
