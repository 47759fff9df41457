/** Records of files: operations on paths, and sums of what was read and written. */
import type { Event, FileChange, FileData, FileEvent } from '../event.ts';
import type { Identity } from '../identity.ts';
import { Counters } from '../stats.ts';
import type { BootClock } from '../time.ts';
import { errnoName } from './errno.ts';
import { atFlagNames, openFlagNames, opensWithMode, renameFlagNames } from './file-flags.ts';
import { createFileNames, type NamedFile } from './file-names.ts';
import { absolutePath } from './file-path.ts';
import { createFileRepeats } from './file-repeats.ts';
import { FILE_CHANGE, FILE_CHANGE_KIND, FILE_IO, HEADER, RECORD_FLAG, SIZE } from './layout.ts';
import type { ProcessEntry } from './process-table.ts';
import type { RecordView } from './record.ts';
import { inodeText } from './target.ts';

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
}

export interface FileDecoder {
  /** Adds what a record says to `events`; false when its own lengths contradict its size or its kind of change is unknown. */
  change(record: RecordView, events: Event[]): boolean;
  io(record: RecordView, events: Event[]): boolean;
  /** The process ends: what is held of it. */
  end(process: ProcessEntry): FileEvent[];
  /** Repeated operations that wait for their second to pass. */
  settle(): FileEvent[];
  counters(): Readonly<Record<string, number>>;
}

export function createFileDecoder({ clock, identity }: Context): FileDecoder {
  const repeats = createFileRepeats();
  const names = createFileNames();
  const counters = new Counters(['unnamed_files']);

  function change(record: RecordView, events: Event[]): boolean {
    const { view, offset, process } = record;
    const data = readChange(record);
    if (data === null) return false;
    const id = view.getBigUint64(offset + FILE_CHANGE.file, true);
    if (id !== 0n) {
      names.set(process, view.getInt32(offset + FILE_CHANGE.result, true), { id, path: data.path, truncated: data.truncated });
    }
    repeats.add(process, fileEvent(record, HEADER.time_ns, data), events);
    return true;
  }

  function io(record: RecordView, events: Event[]): boolean {
    const { view, offset } = record;
    if (SIZE.file_io + view.getUint32(offset + FILE_IO.path_len, true) > record.size) return false;
    const { path, truncated } = fileOf(record);
    const readCalls = u64(record, FILE_IO.read_calls);
    const writeCalls = u64(record, FILE_IO.write_calls);
    // Without calls it only names the file.
    if (readCalls + writeCalls === 0) return true;
    events.push(fileEvent(record, FILE_IO.first_ns, {
      event: 'IO',
      path,
      read_bytes: u64(record, FILE_IO.read_bytes),
      read_calls: readCalls,
      written_bytes: u64(record, FILE_IO.written_bytes),
      write_calls: writeCalls,
      span_ms: Number(view.getBigUint64(offset + FILE_IO.last_ns, true) - view.getBigUint64(offset + FILE_IO.first_ns, true)) / 1e6,
      truncated,
    }));
    return true;
  }

  function fileOf(record: RecordView): Pick<NamedFile, 'path' | 'truncated'> {
    const { batch, view, offset, process } = record;
    const fd = view.getInt32(offset + FILE_IO.fd, true);
    const id = view.getBigUint64(offset + FILE_IO.file, true);
    const pathBytes = view.getUint32(offset + FILE_IO.path_len, true);
    if (pathBytes > 0) {
      const start = offset + SIZE.file_io;
      const named = { id, path: batch.toString('utf8', start, start + pathBytes), truncated: isTruncated(record) };
      if (id !== 0n) names.set(process, fd, named);
      return named;
    }
    const known = names.get(process, fd);
    if (known?.id === id) return known;
    counters.add('unnamed_files');
    return { path: inodeText(view.getUint32(offset + FILE_IO.device, true), view.getBigUint64(offset + FILE_IO.inode, true)), truncated: false };
  }

  /** Its time is that of the field at `timeAt`. */
  function fileEvent<D extends FileData>({ view, offset, process }: RecordView, timeAt: number, data: D) {
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + timeAt, true)),
      source: 'file',
      pid: process.pid,
      comm: process.comm,
      data,
      id: identity.nextId(),
      process: process.key,
      session: process.session,
    } as const;
  }

  return {
    change,
    io,
    end(process) {
      names.forget(process);
      return repeats.takeOf(process);
    },
    settle: () => repeats.take(),
    counters: () => counters.snapshot(),
  };
}

const CHANGES: Readonly<Record<number, FileChange['event']>> = {
  [FILE_CHANGE_KIND.FILE_OPEN]: 'OPEN',
  [FILE_CHANGE_KIND.FILE_TRUNCATE]: 'TRUNCATE',
  [FILE_CHANGE_KIND.FILE_RENAME]: 'RENAME',
  [FILE_CHANGE_KIND.FILE_LINK]: 'LINK',
  [FILE_CHANGE_KIND.FILE_SYMLINK]: 'SYMLINK',
  [FILE_CHANGE_KIND.FILE_UNLINK]: 'UNLINK',
  [FILE_CHANGE_KIND.FILE_MKDIR]: 'MKDIR',
  [FILE_CHANGE_KIND.FILE_RMDIR]: 'RMDIR',
  [FILE_CHANGE_KIND.FILE_CHMOD]: 'CHMOD',
  [FILE_CHANGE_KIND.FILE_CHOWN]: 'CHOWN',
};

function readChange(record: RecordView): FileChange | null {
  const { view, offset } = record;
  const event = CHANGES[view.getUint8(offset + FILE_CHANGE.change)];
  const texts = readTexts(record);
  if (event === undefined || texts === null) return null;
  const u32 = (at: number): number => view.getUint32(offset + at, true);
  const error = errnoName(view.getInt32(offset + FILE_CHANGE.result, true));
  const flags = u32(FILE_CHANGE.flags);
  const hasMode = event === 'MKDIR' || event === 'CHMOD' || (event === 'OPEN' && opensWithMode(flags));
  return {
    event,
    path: texts.path,
    // What a link says is kept as it says it.
    target: event === 'RENAME' || event === 'LINK' || event === 'SYMLINK' ? texts.target : null,
    error,
    flags: flagNames(event, flags, u32(FILE_CHANGE.at_flags)),
    created: event === 'OPEN' && error === null ? view.getUint8(offset + FILE_CHANGE.created) !== 0 : null,
    mode: hasMode ? u32(FILE_CHANGE.mode) : null,
    length: event === 'TRUNCATE' ? lengthOf(record) : null,
    uid: event === 'CHOWN' ? ownerOf(u32(FILE_CHANGE.uid)) : null,
    gid: event === 'CHOWN' ? ownerOf(u32(FILE_CHANGE.gid)) : null,
    count: 1,
    span_ms: 0,
    truncated: isTruncated(record),
  };
}

function readTexts({ batch, view, offset, size }: RecordView): { path: string; target: string } | null {
  let at = SIZE.file_change;
  const read = (lengthAt: number): string => {
    const start = at;
    at += view.getUint16(offset + lengthAt, true);
    return at <= size ? batch.toString('utf8', offset + start, offset + at) : '';
  };
  const path = read(FILE_CHANGE.path_len);
  const base = read(FILE_CHANGE.base_len);
  const target = read(FILE_CHANGE.target_len);
  const targetBase = read(FILE_CHANGE.target_base_len);
  if (at > size) return null;
  const isLinkText = view.getUint8(offset + FILE_CHANGE.change) === FILE_CHANGE_KIND.FILE_SYMLINK;
  return { path: absolutePath(base, path), target: isLinkText ? target : absolutePath(targetBase, target) };
}

function flagNames(event: FileChange['event'], flags: number, atFlags: number): readonly string[] {
  if (event === 'OPEN') return openFlagNames(flags);
  return event === 'RENAME' ? renameFlagNames(flags) : atFlagNames(atFlags);
}

/** null where a program asked for what no file can have: the call failed then. */
function lengthOf({ view, offset }: RecordView): number | null {
  const length = view.getBigInt64(offset + FILE_CHANGE.length, true);
  return length >= 0n && length <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(length) : null;
}

/** -1 leaves the owner as it was. */
function ownerOf(id: number): number | null {
  return id === 0xffff_ffff ? null : id;
}

function isTruncated({ view, offset }: RecordView): boolean {
  return (view.getUint16(offset + HEADER.flags, true) & RECORD_FLAG.RECORD_TRUNCATED) !== 0;
}

/** Exact up to 2^53, 9 petabytes. */
function u64({ view, offset }: RecordView, at: number): number {
  return Number(view.getBigUint64(offset + at, true));
}
