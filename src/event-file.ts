/** What `file` events say: operations on paths, and bytes read and written. */

import type { Masked } from './event.ts';

/** A system call's failure by name, as in errno(3); null when it succeeded. */
export type Errno = string | null;

/**
 * An operation on a path. Paths are absolute as the process sees them: its
 * root, its working directory and the descriptor of an *at call are resolved.
 * The first of equal operations within a second is told at once, the others
 * together, as one event with a `count`.
 *
 * A file that was opened has the kernel's own path: links and `..` are resolved.
 * Any other path is the argument, made absolute; `..` after a name of the
 * argument's own stays, because that name may be a link.
 */
export interface FileChange extends Masked {
  readonly event: 'OPEN' | 'TRUNCATE' | 'RENAME' | 'LINK' | 'SYMLINK' | 'UNLINK' | 'MKDIR' | 'RMDIR' | 'CHMOD' | 'CHOWN';
  readonly path: string;
  /** The other path: new name of a RENAME or LINK, what a SYMLINK says. */
  readonly target: string | null;
  readonly error: Errno;
  /**
   * OPEN: `read`, `write`, `read-write` or `path`, then `create`, `truncate`, `append`, … that were asked for.
   * RENAME: `no-replace`, `exchange`, `whiteout`. Others: `nofollow`.
   */
  readonly flags: readonly string[];
  /** OPEN: whether it made the file, null where that cannot be told. */
  readonly created: boolean | null;
  /** Permission bits of OPEN with create, MKDIR and CHMOD. */
  readonly mode: number | null;
  /** TRUNCATE: the new length in bytes. */
  readonly length: number | null;
  /** CHOWN: the new owner and group, null where it is left as it was. */
  readonly uid: number | null;
  readonly gid: number | null;
  /** How many equal operations this event stands for. */
  readonly count: number;
  /** Time of the last of them, epoch nanoseconds minus `timestamp`, in milliseconds. */
  readonly span_ms: number;
  /** The path has lost its beginning (more components than we walk) or its end (longer than any path may be). */
  readonly truncated: boolean;
}

/**
 * What a process read from and wrote to a regular file by one descriptor since
 * it was last told; told when it closes it or ends, and every second before.
 * The time is that of the first call.
 */
export interface FileIo extends Masked {
  readonly event: 'IO';
  /** When the file was opened, or first seen. */
  readonly path: string;
  readonly read_bytes: number;
  readonly read_calls: number;
  readonly written_bytes: number;
  readonly write_calls: number;
  /** From the first call to the last. */
  readonly span_ms: number;
  readonly truncated: boolean;
}

export type FileData = FileChange | FileIo;
