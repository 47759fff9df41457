/** What `file` events say: operations on paths, and bytes read and written. */

/** A system call's failure by name, as in errno(3); null when it succeeded. */
export type Errno = string | null;

/**
 * An operation on a path. Paths are absolute as the process sees them: its
 * root, its working directory and the descriptor of an *at call are resolved.
 * Equal operations in a short time are one event with a `count`.
 */
export interface FileChange {
  readonly event: 'OPEN' | 'TRUNCATE' | 'RENAME' | 'LINK' | 'SYMLINK' | 'UNLINK' | 'MKDIR' | 'RMDIR' | 'CHMOD' | 'CHOWN';
  readonly path: string;
  /** The other path: new name of a RENAME or LINK, what a SYMLINK says. */
  readonly target: string | null;
  readonly error: Errno;
  /** OPEN: `read`, `write`, `read-write`, then `create`, `truncate`, `append`, … that were asked for. */
  readonly flags: readonly string[];
  /** OPEN: whether it made the file, null where that cannot be told. */
  readonly created: boolean | null;
  /** Permission bits of OPEN with create, MKDIR and CHMOD. */
  readonly mode: number | null;
  /** TRUNCATE: the new length in bytes. */
  readonly length: number | null;
  /** How many equal operations this event stands for. */
  readonly count: number;
  /** Time of the last of them, epoch nanoseconds minus `timestamp`, in milliseconds. */
  readonly span_ms: number;
  /** The path has lost its beginning: more components than we walk. */
  readonly truncated: boolean;
}

/** What a process read from and wrote to a file since it was last told; told when it closes it or ends, and now and then before. */
export interface FileIo {
  readonly event: 'IO';
  readonly path: string;
  readonly read_bytes: number;
  readonly read_calls: number;
  readonly written_bytes: number;
  readonly write_calls: number;
  readonly span_ms: number;
  readonly truncated: boolean;
}

export type FileData = FileChange | FileIo;
