import { describe, expect, test } from 'vitest';
import { createDecoder } from '../../src/decode/decode.ts';
import { absolutePath } from '../../src/decode/file-path.ts';
import { atFlagNames, openFlagNames, renameFlagNames } from '../../src/decode/file-flags.ts';
import { FILE_CHANGE, FILE_CHANGE_KIND, FILE_IO, RECORD_FLAG, RECORD_KIND, SIZE } from '../../src/decode/layout.ts';
import { createProcessTable } from '../../src/decode/process-table.ts';
import type { Event, FileChange, FileIo } from '../../src/event.ts';
import { createIdentity } from '../../src/identity.ts';
import { LIMITS } from '../../src/limits.ts';
import { BootClock } from '../../src/time.ts';
import { exitRecord, record, type HeaderFields } from '../helpers/records.ts';

const { FILE_OPEN, FILE_RENAME, FILE_SYMLINK, FILE_TRUNCATE, FILE_CHOWN, FILE_MKDIR } = FILE_CHANGE_KIND;

function decoder() {
  const identity = createIdentity({ host: 'h0', boot: 'b0', collector: 'c0' });
  return createDecoder({ clock: new BootClock(0n), identity, processes: createProcessTable(identity), readPath: () => null });
}

interface ChangeFields extends HeaderFields {
  readonly change: number;
  readonly path: string;
  readonly base?: string;
  readonly target?: string;
  readonly targetBase?: string;
  readonly result?: number;
  readonly file?: bigint;
  readonly openFlags?: number;
  readonly mode?: number;
  readonly length?: bigint;
  readonly uid?: number;
  readonly created?: boolean;
}

function changeRecord(fields: ChangeFields): Buffer {
  const texts = [fields.path, fields.base ?? '', fields.target ?? '', fields.targetBase ?? ''].map((text) => Buffer.from(text));
  const bytes = Buffer.concat([record(RECORD_KIND.RECORD_FILE_CHANGE, SIZE.file_change, fields), ...texts]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeBigUInt64LE(fields.file ?? 0n, FILE_CHANGE.file);
  bytes.writeBigInt64LE(fields.length ?? 0n, FILE_CHANGE.length);
  bytes.writeInt32LE(fields.result ?? 0, FILE_CHANGE.result);
  bytes.writeUInt32LE(fields.openFlags ?? 0, FILE_CHANGE.flags);
  bytes.writeUInt32LE(fields.mode ?? 0, FILE_CHANGE.mode);
  bytes.writeUInt32LE(fields.uid ?? 0, FILE_CHANGE.uid);
  bytes.writeUInt32LE(0xffff_ffff, FILE_CHANGE.gid);
  for (const [index, text] of texts.entries()) bytes.writeUInt16LE(text.length, FILE_CHANGE.path_len + 2 * index);
  bytes.writeUInt8(fields.change, FILE_CHANGE.change);
  bytes.writeUInt8(fields.created === true ? 1 : 0, FILE_CHANGE.created);
  return bytes;
}

function ioRecord(fields: HeaderFields & { readonly file: bigint; readonly fd: number; readonly readBytes?: bigint; readonly path?: string }): Buffer {
  const path = Buffer.from(fields.path ?? '');
  const bytes = Buffer.concat([record(RECORD_KIND.RECORD_FILE_IO, SIZE.file_io, fields), path]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeBigUInt64LE(fields.file, FILE_IO.file);
  bytes.writeBigUInt64LE(77n, FILE_IO.inode);
  bytes.writeBigUInt64LE((8n << 8n) | 1n, FILE_IO.device);
  bytes.writeBigUInt64LE(1_000_000n, FILE_IO.first_ns);
  bytes.writeBigUInt64LE(3_500_000n, FILE_IO.last_ns);
  bytes.writeBigUInt64LE(fields.readBytes ?? 0n, FILE_IO.read_bytes);
  bytes.writeBigUInt64LE(fields.readBytes === undefined ? 0n : 2n, FILE_IO.read_calls);
  bytes.writeInt32LE(fields.fd, FILE_IO.fd);
  bytes.writeUInt32LE(path.length, FILE_IO.path_len);
  return bytes;
}

const changes = (events: readonly Event[]): FileChange[] => events.flatMap(({ data }) => ('created' in data ? [data] : []));
const totals = (events: readonly Event[]): FileIo[] => events.flatMap(({ data }) => ('read_calls' in data ? [data] : []));

describe('a path of a program', () => {
  test.each([
    ['/srv', 'a/b', '/srv/a/b'],
    ['/srv', './a//b/', '/srv/a/b'],
    ['/srv/deep', '../../../a', '/a'],
    ['/', '..', '/'],
    ['/home', '../a/../b', '/a/../b'],
    ['/home', '.', '/home'],
    ['/home', '', '/home'],
    ['', '/../etc//./passwd', '/etc/passwd'],
    ['', '/a/b/../../c', '/a/b/../../c'],
    ['', 'of a closed descriptor', 'of a closed descriptor'],
    ['', '', ''],
  ])('from %j, %j is %j', (base, path, absolute) => {
    expect(absolutePath(base, path)).toBe(absolute);
  });
});

describe('flags', () => {
  test.each([
    [0, ['read']],
    [0o1101, ['write', 'create', 'truncate']],
    [0o302, ['read-write', 'create', 'exclusive']],
    [0o2002001, ['write', 'append']],
    [0o200000, ['read', 'directory']],
    [0o10400000, ['path', 'nofollow']],
    [0o20200002, ['read-write', 'tmpfile', 'directory']],
    [0o4010001, ['write', 'sync']],
    [0o10001, ['write', 'sync']],
  ])('of an open, %o, have names', (flags, names) => {
    expect(openFlagNames(flags)).toEqual(names);
  });

  test('of a rename and of a mode have names', () => {
    expect(renameFlagNames(3)).toEqual(['no-replace', 'exchange']);
    expect(atFlagNames(0x100)).toEqual(['nofollow']);
  });
});

describe('an operation on a file', () => {
  test('that failed has the name of its errno, and made nothing', () => {
    const [data] = changes(decoder().decode(changeRecord({ pid: 5, change: FILE_OPEN, path: 'x', base: '/tmp', result: -2, openFlags: 0o101, mode: 0o644 })));
    expect(data).toEqual({
      event: 'OPEN', path: '/tmp/x', target: null, error: 'ENOENT', flags: ['write', 'create'], created: null, mode: 0o644,
      length: null, uid: null, gid: null, count: 1, span_ms: 0, truncated: false,
    });
  });

  test('with an errno that only the kernel knows shows its number', () => {
    expect(changes(decoder().decode(changeRecord({ pid: 5, change: FILE_MKDIR, path: '/x', result: -524 })))[0]?.error).toBe('errno 524');
  });

  test('has what belongs to its kind', () => {
    const events = decoder().decode(Buffer.concat([
      changeRecord({ pid: 5, change: FILE_RENAME, path: 'a', base: '/w', target: '../b', targetBase: '/v/u', openFlags: 1 }),
      changeRecord({ pid: 5, change: FILE_SYMLINK, path: 'link', base: '/w', target: '../b/./c' }),
      changeRecord({ pid: 5, change: FILE_TRUNCATE, path: '', base: '/w/f', length: 9n }),
      changeRecord({ pid: 5, change: FILE_TRUNCATE, path: '/w/f', length: -1n, result: -22 }),
      changeRecord({ pid: 5, change: FILE_CHOWN, path: '/w/f', uid: 1000, flags: RECORD_FLAG.RECORD_TRUNCATED }),
    ]));
    expect(changes(events)).toMatchObject([
      { event: 'RENAME', path: '/w/a', target: '/v/b', flags: ['no-replace'] },
      { event: 'SYMLINK', path: '/w/link', target: '../b/./c' },
      { event: 'TRUNCATE', path: '/w/f', length: 9, error: null },
      { event: 'TRUNCATE', length: null, error: 'EINVAL' },
      { event: 'CHOWN', uid: 1000, gid: null, mode: null, truncated: true },
    ]);
  });

  test('whose lengths contradict its size, or of an unknown kind, is counted as malformed', () => {
    const long = changeRecord({ pid: 5, change: FILE_OPEN, path: '/x' });
    long.writeUInt16LE(3, FILE_CHANGE.path_len);
    const io = ioRecord({ pid: 5, file: 1n, fd: 3 });
    io.writeUInt32LE(1, FILE_IO.path_len);
    const one = decoder();
    expect(one.decode(Buffer.concat([long, changeRecord({ pid: 5, change: 99, path: '' }), io]))).toEqual([]);
    expect(one.counters()).toMatchObject({ malformed: 3 });
  });
});

describe('equal operations', () => {
  const open = (pid: number, timeNs: bigint, path = '/x'): Buffer => changeRecord({ pid, timeNs, change: FILE_OPEN, path, result: 3 + Number(timeNs % 7n) });

  test('are told at once the first time, then together with their number and span', () => {
    const one = decoder();
    const first = one.decode(Buffer.concat([open(5, 1_000_000n), open(5, 2_000_000n), open(6, 2_000_000n), open(5, 2_500_000n, '/y'), open(5, 4_000_000n)]));
    expect(first.map(({ pid, data }) => [pid, 'path' in data && data.path, 'count' in data && data.count])).toEqual([[5, '/x', 1], [6, '/x', 1], [5, '/y', 1]]);
    const [held, ...rest] = one.settle();
    expect(rest).toEqual([]);
    expect(held).toMatchObject({ pid: 5, timestamp: 2_000_000n, data: { path: '/x', count: 2, span_ms: 2 } });
    expect(held?.id).not.toBe(first[0]?.id);
    expect(one.settle()).toEqual([]);
    expect(changes(one.decode(open(5, 9_000_000n)))).toMatchObject([{ count: 1 }]);
  });

  test('whose paths lost a part are each told: they may be different', () => {
    const cut = changeRecord({ pid: 5, change: FILE_OPEN, path: '/x', flags: RECORD_FLAG.RECORD_TRUNCATED });
    expect(changes(decoder().decode(Buffer.concat([cut, cut])))).toMatchObject([{ count: 1 }, { count: 1 }]);
  });

  test('are told before the end of their process', () => {
    const one = decoder();
    const events = one.decode(Buffer.concat([open(5, 1n), open(5, 2n), exitRecord({ pid: 5 })]));
    expect(events.map(({ data }) => ('event' in data ? data.event : ''))).toEqual(['OPEN', 'OPEN', 'EXIT']);
    expect(one.settle()).toEqual([]);
  });

  test('beyond what is remembered are told early, none lost', () => {
    const one = decoder();
    const rounds = 3;
    const paths = LIMITS.fileRepeats + 10;
    const events = [];
    for (let round = 0; round < rounds; round++) {
      for (let path = 0; path < paths; path++) events.push(...one.decode(open(5, BigInt(path), `/${path}`)), ...one.decode(open(5, BigInt(path), `/${path}`)));
    }
    events.push(...one.settle());
    expect(changes(events).reduce((sum, { count }) => sum + count, 0)).toBe(2 * rounds * paths);
  });
});

describe('sums of bytes', () => {
  test('are of the file that was opened under that number', () => {
    const one = decoder();
    one.decode(changeRecord({ pid: 5, change: FILE_OPEN, path: '/etc/passwd', result: 3, file: 40n }));
    const [event] = one.decode(ioRecord({ pid: 5, file: 40n, fd: 3, readBytes: 1294n }));
    expect(event).toMatchObject({
      timestamp: 1_000_000n,
      data: { event: 'IO', path: '/etc/passwd', read_bytes: 1294, read_calls: 2, written_bytes: 0, write_calls: 0, span_ms: 2.5, truncated: false },
    });
  });

  test('of a file that was open before are named first', () => {
    const one = decoder();
    expect(one.decode(ioRecord({ pid: 5, file: 41n, fd: 0, path: '/var/log/x' }))).toEqual([]);
    expect(totals(one.decode(ioRecord({ pid: 5, file: 41n, fd: 0, readBytes: 1n })))).toMatchObject([{ path: '/var/log/x' }]);
    expect(totals(one.decode(ioRecord({ pid: 5, file: 0n, fd: 0, readBytes: 1n, path: '/alone' })))).toMatchObject([{ path: '/alone' }]);
  });

  test('whose name was lost show the inode, never the name of another file', () => {
    const one = decoder();
    one.decode(changeRecord({ pid: 5, change: FILE_OPEN, path: '/other', result: 3, file: 40n }));
    expect(totals(one.decode(ioRecord({ pid: 5, file: 42n, fd: 3, readBytes: 1n })))).toMatchObject([{ path: 'inode:[8:1:77]', read_bytes: 1 }]);
    expect(one.counters()).toMatchObject({ unnamed_files: 1 });
  });
});
