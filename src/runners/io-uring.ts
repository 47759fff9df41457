/** Traced processes that use io_uring: what passes it is no system call, so it is said that it was not seen. */
import type { ProbeEvent, ProcessKey } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { probeEvent } from './own-events.ts';
import { readExe } from './proc.ts';

export interface IoUringUser {
  readonly pid: number;
  readonly comm: string;
  readonly key: ProcessKey;
  readonly session: ProcessKey | null;
}

export interface IoUringUsers {
  /** The event that tells of it; null for one that was told of. */
  note(user: IoUringUser): ProbeEvent | null;
  /** A line for each, for the end of the run. */
  lines(): readonly string[];
}

/** Named one by one at the end of a run. */
const NAMED = 8;

export function createIoUringUsers(identity: Identity): IoUringUsers {
  const users = new Map<ProcessKey, string>();
  let untold = 0;

  return {
    note({ pid, comm, key, session }) {
      if (users.has(key)) return null;
      if (users.size >= LIMITS.ioUringProcesses) {
        untold++;
        return null;
      }
      const reason = ioUringText(pid, comm);
      users.set(key, reason);
      const event = probeEvent({
        subject: 'io_uring', path: readExe(pid) ?? comm, place: null, build_id: null, library: null, status: 'absent', method: null,
        functions: [], reason, steps: [],
      }, identity);
      return { ...event, pid, comm, process: key, session };
    },
    lines() {
      const more = users.size + untold - NAMED;
      return [...[...users.values()].slice(0, NAMED), ...(more > 0 ? [`and ${more} more processes use io_uring`] : [])];
    },
  };
}

export function ioUringText(pid: number, comm: string): string {
  return `pid ${pid} (${comm}) uses io_uring: what it reads and writes through it is not captured`;
}
