/**
 * Opening and turning over the file of `-o`. We may be root and the path may
 * lie where another user can write: links are not followed, only a regular
 * file of a single name is written to, and one that we create is given to its
 * owner.
 */
import {
  closeSync, constants, fchownSync, fstatSync, openSync, readSync, renameSync, writeSync,
} from 'node:fs';
import { AgentsightError, causeText, errnoOf } from '../errors.ts';

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface OutputFile {
  readonly path: string;
  readonly fd: number;
  sizeBytes: number;
}

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
const MODE = 0o600;
const NEWLINE = 0x0a;

/** Throws OUTPUT_UNWRITABLE. */
export function openOutputFile(path: string, owner?: FileOwner): OutputFile {
  const { fd, created } = openAppending(path);
  try {
    const facts = fstatSync(fd);
    if (!facts.isFile()) throw unwritable(path, 'it is not a regular file', STDOUT_HINT);
    if (facts.nlink > 1) throw unwritable(path, 'it has several names (hard links)', 'give a path of its own');
    if (created && owner !== undefined && owner.uid !== facts.uid) fchownSync(fd, owner.uid, owner.gid);
    const file = { path, fd, sizeBytes: facts.size };
    endCutLine(file);
    return file;
  } catch (cause) {
    closeSync(fd);
    if (cause instanceof AgentsightError) throw cause;
    throw unwritable(path, causeText(cause), undefined, cause);
  }
}

/** file.4 -> file.5, … file -> file.1, and a new file. The old one stays open if it cannot be done. */
export function rotateFiles(file: OutputFile, keep: number, owner?: FileOwner): OutputFile {
  const { path } = file;
  for (let number = keep - 1; number >= 1; number--) renameIfThere(`${path}.${number}`, `${path}.${number + 1}`);
  renameSync(path, `${path}.1`);
  const next = openOutputFile(path, owner);
  closeSync(file.fd);
  return next;
}

export function closeFile(file: OutputFile): void {
  closeSync(file.fd);
}

const STDOUT_HINT = 'for standard output use --json; for a pipe, --json and a redirection';

/** First as a new file, so that we know whether it is ours to give away. O_NONBLOCK: a FIFO without reader must not hold us. */
function openAppending(path: string): { fd: number; created: boolean } {
  const flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
  try {
    return { fd: openSync(path, flags | O_CREAT | O_EXCL, MODE), created: true };
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') throw openError(path, cause);
  }
  try {
    return { fd: openSync(path, flags), created: false };
  } catch (cause) {
    throw openError(path, cause);
  }
}

function openError(path: string, cause: unknown): AgentsightError {
  switch (errnoOf(cause)) {
    case 'ELOOP':
      return unwritable(path, 'it is a symbolic link', `links are not followed; give the file itself. ${STDOUT_HINT}`, cause);
    case 'EISDIR':
      return unwritable(path, 'it is a directory', 'give a file name', cause);
    case 'ENOENT':
      return unwritable(path, 'its directory does not exist', 'create the directory first', cause);
    case 'EACCES':
    case 'EPERM':
      return unwritable(path, 'permission denied', undefined, cause);
    case 'EROFS':
      return unwritable(path, 'the file system is read-only', undefined, cause);
    case 'ENOSPC':
      return unwritable(path, 'no space left on the device', undefined, cause);
    default:
      return unwritable(path, causeText(cause), STDOUT_HINT, cause);
  }
}

function unwritable(path: string, why: string, hint?: string, cause?: unknown): AgentsightError {
  return new AgentsightError('OUTPUT_UNWRITABLE', `could not write to ${path}: ${why}`, { hint, cause });
}

/** A writer that was killed may have left half a line: it gets its newline, so that our first line is not part of it. */
function endCutLine(file: OutputFile): void {
  if (file.sizeBytes === 0) return;
  const last = Buffer.alloc(1);
  readSync(file.fd, last, 0, 1, file.sizeBytes - 1);
  if (last[0] === NEWLINE) return;
  writeSync(file.fd, '\n');
  file.sizeBytes += 1;
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
  }
}
