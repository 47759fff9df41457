/**
 * What a descriptor points to, as text: `pipe:[123]`, `socket:[123]`,
 * `/dev/pts/0`, a path, or `inode:[dev:ino]` where nothing better is known.
 */

/** Type bits of st_mode, from inode(7). */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** Character devices whose name follows from their number, from the kernel's devices.txt. */
const MEMORY_MAJOR = 1;
const NULL_MINOR = 3;
const TERMINAL_MAJOR_FIRST = 136;
const TERMINAL_MAJOR_LAST = 143;
const MINORS_PER_TERMINAL_MAJOR = 256;

export interface FileIdentity {
  readonly mode: number;
  readonly inode: bigint;
  /** As stat(2) packs it; of the device node where it is one. */
  readonly device: number;
}

/** The path of what a live process has open there, if it still is that inode; else null. */
export type ReadPath = (pid: number, fd: number, inode: bigint) => string | null;

export function targetText(file: FileIdentity, readPath: () => string | null): string {
  const type = file.mode & S_IFMT;
  if (type === S_IFIFO) return namedPipe(readPath()) ?? `pipe:[${file.inode}]`;
  if (type === S_IFSOCK) return `socket:[${file.inode}]`;
  if (type === S_IFCHR) {
    if (majorOf(file.device) === MEMORY_MAJOR && minorOf(file.device) === NULL_MINOR) return '/dev/null';
    const terminal = terminalPath(file.device);
    if (terminal !== null) return terminal;
  }
  return readPath() ?? inodeText(file.device, file.inode);
}

/** The terminal that a character device is, on the side of the programs; null for another device. */
export function terminalPath(device: number): string | null {
  const major = majorOf(device);
  if (major < TERMINAL_MAJOR_FIRST || major > TERMINAL_MAJOR_LAST) return null;
  return `/dev/pts/${(major - TERMINAL_MAJOR_FIRST) * MINORS_PER_TERMINAL_MAJOR + minorOf(device)}`;
}

/** Names a file whose path nobody knows any more. */
export function inodeText(device: number, inode: bigint): string {
  return `inode:[${majorOf(device)}:${minorOf(device)}:${inode}]`;
}

function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}

/** A FIFO in the file system has a path; an anonymous pipe's link reads `pipe:[123]`. */
function namedPipe(path: string | null): string | null {
  return path !== null && path.startsWith('/') ? path : null;
}
