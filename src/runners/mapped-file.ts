/**
 * Where a file that some process has mapped can be opened by us: under the path
 * that the process knows it by, or, where that leads elsewhere for us (another
 * mount namespace, a chroot, a file that was replaced or never had a name),
 * through the process itself.
 */
import { statSync, type BigIntStats } from 'node:fs';
import type { MappedFile } from '../addon.ts';
import { readLink } from './proc.ts';

const DELETED = ' (deleted)';

/** As people know it. */
export function namedPath({ path }: MappedFile): string {
  return path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
}

/** null when nothing leads there any more: its process has ended. */
export function placeOf(mapped: MappedFile): string | null {
  const { pid, path, range } = mapped;
  const own = statFile(path);
  // The path outlives the process: it is the best of them.
  if (own !== null && fileOf(own) === mapped.file) return path;
  const byProcess = `/proc/${pid}/map_files/${range}`;
  const exact = statFile(byProcess);
  if (exact !== null) return placesOf(mapped).find((place) => isSameFile(statFile(place), exact)) ?? byProcess;
  // The mapping has changed since, or only CAP_SYS_ADMIN may look at it.
  return placesOf(mapped).find((place) => hasInode(place, mapped)) ?? null;
}

/** By our own names, in a folder that is the root of the process, and through the process. */
function placesOf({ pid, path }: MappedFile): readonly string[] {
  const root = readLink(`/proc/${pid}/root`);
  return [path, ...(root === null || root === '/' ? [] : [`${root}${path}`]), `/proc/${pid}/root${path}`];
}

/** null for what is gone, cannot be reached, or is no regular file. */
export function statFile(path: string): BigIntStats | null {
  try {
    const stat = statSync(path, { bigint: true });
    return stat.isFile() ? stat : null;
  } catch {
    return null;
  }
}

export function isSameFile(a: BigIntStats | null, b: BigIntStats): boolean {
  return a !== null && a.ino === b.ino && a.dev === b.dev;
}

/** stat(2) in the form of /proc/PID/maps. The device is another one on btrfs, and on overlayfs for some kernels. */
function fileOf({ dev, ino }: BigIntStats): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return `${hex(major)}:${hex(minor)}:${ino}`;
}

function hex(number: bigint): string {
  return number.toString(16).padStart(2, '0');
}

function hasInode(place: string, { file }: MappedFile): boolean {
  const stat = statFile(place);
  return stat !== null && file.endsWith(`:${stat.ino}`);
}
