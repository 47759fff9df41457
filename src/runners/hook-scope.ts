/**
 * Whose calls are hooked: those of every process that maps a file, or of one
 * process alone, where that loses nothing. The hooks of one process cost others
 * nothing: the instruction is changed in its memory only.
 *
 * The kernel compares processes by the memory of the thread that led them when
 * the hook was made. Where another thread executes a program or the leader ends
 * before the others, it finds new mappings no longer: then the hooks are made
 * anew, for all.
 */
import { release } from 'node:os';
import type { Selection } from '../addon.ts';
import { selectsProcesses } from './seed.ts';

/** Before Linux 6.12, a uprobe_multi link of one process catches one thread of it, or none of a program that it executes later. */
const LEAST = { major: 6, minor: 12 };

export interface TraceScope {
  readonly launches: boolean;
  readonly roots: readonly number[];
  readonly selection: Selection;
}

/** The only process that will ever be traced; null where there may be more, or the kernel cannot hook one. */
export function onlyProcess({ launches, roots, selection }: TraceScope, kernel: string = release()): number | null {
  const [pid, ...others] = roots;
  if (pid === undefined || others.length > 0 || launches || selection.follow || selectsProcesses(selection)) return null;
  return canHookOne(kernel) ? pid : null;
}

function canHookOne(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return major > LEAST.major || (major === LEAST.major && minor >= LEAST.minor);
}
