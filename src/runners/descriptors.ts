/**
 * Paths of what processes have open. A live process is asked; of one that has
 * ended by the time its record is read, another process may have had the same
 * file open: a shell's helpers write where the shell's own output goes. A path
 * is given only while it leads to that inode.
 */
import { readlinkSync, statSync } from 'node:fs';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';

export interface Descriptors {
  /** null when neither the process nor another one's path leads there. */
  readPath(pid: number, fd: number, inode: bigint): string | null;
  /** Remembers where a process's standard streams lead, while it is known to run. */
  learn(pid: number): void;
  /** So many descriptors of a process were not looked at. */
  leaveOut(count: number): void;
  counters(): Readonly<Record<string, number>>;
}

const STANDARD_STREAMS = [0, 1, 2];

export function createDescriptors(): Descriptors {
  const paths = new Map<bigint, string>();
  const counters = new Counters(['paths_forgotten', 'left_out']);

  function ask(pid: number, fd: number): { readonly inode: bigint; readonly path: string } | null {
    const link = `/proc/${pid}/fd/${fd}`;
    try {
      return { inode: statSync(link, { bigint: true }).ino, path: readlinkSync(link) };
    } catch {
      return null;
    }
  }

  function remember(inode: bigint, path: string): void {
    if (!path.startsWith('/')) return;
    if (paths.size >= LIMITS.descriptorPaths) {
      counters.add('paths_forgotten', paths.size);
      paths.clear();
    }
    paths.set(inode, path);
  }

  function known(inode: bigint): string | null {
    const path = paths.get(inode);
    if (path === undefined) return null;
    try {
      return statSync(path, { bigint: true }).ino === inode ? path : null;
    } catch {
      return null;
    }
  }

  return {
    readPath(pid, fd, inode) {
      const answer = ask(pid, fd);
      if (answer === null || answer.inode !== inode) return known(inode);
      remember(inode, answer.path);
      return answer.path;
    },
    learn(pid) {
      for (const fd of STANDARD_STREAMS) {
        const answer = ask(pid, fd);
        if (answer !== null) remember(answer.inode, answer.path);
      }
    },
    leaveOut: (count) => counters.add('left_out', count),
    counters: () => counters.snapshot(),
  };
}
