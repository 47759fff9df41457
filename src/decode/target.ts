/**
 * What a descriptor points to, as text: `pipe:[123]`, `socket:[123]`,
 * `/dev/pts/0`, a path, or `inode:[dev:ino]` where nothing better is known.
 */

/** Type bits of st_mode, from inode(7). */
const S_IFMT = 0o170000;
const S_IFSOCK = 0o140000;
const S_IFCHR = 0o020000;
const S_IFIFO = 0o010000;

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
  const major = (file.device >>> 8) & 0xfff;
  const minor = (file.device & 0xff) | ((file.device >>> 12) & 0xfff00);
  if (type === S_IFCHR) {
    if (major === MEMORY_MAJOR && minor === NULL_MINOR) return '/dev/null';
    if (major >= TERMINAL_MAJOR_FIRST && major <= TERMINAL_MAJOR_LAST) {
      return `/dev/pts/${(major - TERMINAL_MAJOR_FIRST) * MINORS_PER_TERMINAL_MAJOR + minor}`;
    }
  }
  return readPath() ?? `inode:[${major}:${minor}:${file.inode}]`;
}

/** A FIFO in the file system has a path; an anonymous pipe's link reads `pipe:[123]`. */
function namedPipe(path: string | null): string | null {
  return path !== null && path.startsWith('/') ? path : null;
}
