import { describe, expect, test } from 'vitest';
import { createDecoder } from '../../src/decode/decode.ts';
import { HEADER, RECORD_FLAG, STDIO } from '../../src/decode/layout.ts';
import { createProcessTable } from '../../src/decode/process-table.ts';
import { createIdentity } from '../../src/identity.ts';
import { LIMITS } from '../../src/limits.ts';
import { BootClock } from '../../src/time.ts';
import {
  execRecord, exitRecord, forkRecord, record, stdioRecord, tlsCloseRecord, tlsRecord,
} from '../helpers/records.ts';

const OFFSET_NS = 1_700_000_000_000_000_000n;
const PIPE = 0o010600;
const SOCKET = 0o140600;
const CHARACTER = 0o020600;
const REGULAR = 0o100644;

function setUp(readPath: (pid: number, fd: number, inode: bigint) => string | null = () => null) {
  const identity = createIdentity({ host: 'h0', boot: 'b0', collector: 'c0' });
  const processes = createProcessTable(identity);
  const decoder = createDecoder({ clock: new BootClock(OFFSET_NS), identity, processes, readPath });
  return { identity, processes, decoder };
}

describe('the decoder', () => {
  test('a fork names child, parent and session', () => {
    const { decoder, processes } = setUp();
    processes.adopt({ pid: 10, startTicks: 100n, comm: 'root', root: 10 });
    const [event] = decoder.decode(
      forkRecord({ pid: 11, root: 10, startNs: 2_000_000_123n, ppid: 10, parentStartNs: 1_009_999_999n, comm: 'sh' }),
    );
    expect(event).toEqual({
      timestamp: OFFSET_NS + 5_000_000_000n,
      source: 'process',
      pid: 11,
      comm: 'sh',
      data: { event: 'FORK', ppid: 10, parent: 'h0.b0.2s.10' },
      id: 'h0.b0.c0.1',
      process: 'h0.b0.5k.11',
      session: 'h0.b0.2s.10',
    });
  });

  test('an exec carries file name, working directory and arguments, empty ones too', () => {
    const { decoder } = setUp();
    const batch = execRecord({ pid: 5, uid: 1000, filename: '/bin/grep', cwd: '/home/ä', argv: 'grep\0\0x y\0\0' });
    expect(decoder.decode(batch)[0]?.data).toEqual({
      event: 'EXEC', ppid: 1, parent: 'h0.b0.0.1', filename: '/bin/grep', argv: ['grep', '', 'x y', ''],
      cwd: '/home/ä', uid: 1000, gid: 7, truncated: false, existing: false,
    });
  });

  test('a command line that was cut says so', () => {
    const { decoder } = setUp();
    const batch = execRecord({ pid: 5, filename: 'a', cwd: '/', argv: 'a\0bcd', flags: RECORD_FLAG.RECORD_TRUNCATED });
    expect(decoder.decode(batch)[0]?.data).toMatchObject({ argv: ['a', 'bcd'], truncated: true });
  });

  test('an exit has either a code or the name of a signal', () => {
    const { decoder } = setUp();
    const events = decoder.decode(Buffer.concat([
      exitRecord({ pid: 5, exitCode: 3, startNs: 4_999_000_000n }),
      exitRecord({ pid: 6, signal: 9 }),
      exitRecord({ pid: 7, signal: 6 }),
      exitRecord({ pid: 8, signal: 36 }),
    ]));
    expect(events[0]?.data).toMatchObject({
      event: 'EXIT', exit_code: 3, signal: null, duration_ms: 1, peak_rss_bytes: 4096, user_ms: 1.5, system_ms: 0.5,
    });
    expect(events.slice(1).map((event) => event.data)).toMatchObject([
      { exit_code: null, signal: 'SIGKILL' },
      { exit_code: null, signal: 'SIGABRT' },
      { exit_code: null, signal: 'SIGRTMIN+2' },
    ]);
  });

  test('a TLS chunk is placed in its connection, and its payload is not copied', () => {
    const { decoder } = setUp();
    const batch = tlsRecord({
      pid: 5, connection: 7n, position: 1000n, offset: 32768, total: 40000, payload: Buffer.from('hello'),
    });
    const event = decoder.decode(batch)[0];
    expect(event).toMatchObject({
      source: 'tls',
      data: {
        event: 'DATA', connection: 'h0.b0.c0.c7', position: 33768, len: 5, total: 40000, offset: 32768,
        direction: 'write', library: 'openssl', truncated: false, fault: false,
      },
    });
    if (event?.source !== 'tls' || event.data.event !== 'DATA') throw new Error('no TLS chunk');
    expect(Buffer.from(event.data.payload).toString()).toBe('hello');
    expect(event.data.payload.buffer).toBe(batch.buffer);
  });

  test('connections keep their names apart above 32 bits, and across a close', () => {
    const { decoder } = setUp();
    const payload = Buffer.from('x');
    const events = decoder.decode(Buffer.concat([
      tlsRecord({ pid: 5, connection: 7n, payload }),
      tlsRecord({ pid: 5, connection: (1n << 60n) + 7n, payload }),
      tlsCloseRecord({ pid: 5, connection: 7n }),
    ]));
    expect(events.map((event) => 'connection' in event.data && event.data.connection))
      .toEqual(['h0.b0.c0.c7', 'h0.b0.c0.c1152921504606846983', 'h0.b0.c0.c7']);
  });

  test.each([
    ['an anonymous pipe', { mode: PIPE, inode: 77n }, 'pipe:[77]'],
    ['a socket', { mode: SOCKET, inode: 78n }, 'socket:[78]'],
    ['a terminal', { mode: CHARACTER, inode: 3n, device: (137 << 8) | 4 }, '/dev/pts/260'],
    ['the null device', { mode: CHARACTER, inode: 3n, device: (1 << 8) | 3 }, '/dev/null'],
    ['a file of a process that is gone', { mode: REGULAR, inode: 9n, device: (0x123 << 20) | (8 << 8) | 1 }, 'inode:[8:74497:9]'],
  ])('a descriptor of %s is named', (_name, file, target) => {
    const { decoder } = setUp();
    const batch = stdioRecord({ pid: 5, fd: 1, payload: Buffer.from('x'), ...file });
    expect(decoder.decode(batch)[0]?.data).toMatchObject({ target, role: 'stdout', fd: 1 });
  });

  test('a path is asked for once, and again when the descriptor points elsewhere', () => {
    const asked: bigint[] = [];
    const { decoder } = setUp((_pid, _fd, inode) => {
      asked.push(inode);
      return `/tmp/${inode}`;
    });
    const write = (inode: bigint) => stdioRecord({ pid: 5, fd: 2, mode: REGULAR, inode, payload: Buffer.from('x') });
    const events = decoder.decode(Buffer.concat([write(1n), write(1n), write(2n)]));
    expect(events.map((event) => 'target' in event.data && event.data.target)).toEqual(['/tmp/1', '/tmp/1', '/tmp/2']);
    expect(asked).toEqual([1n, 2n]);
  });

  test('a pid given out again is another process', () => {
    const { decoder } = setUp();
    const payload = Buffer.from('x');
    const first = { pid: 5, fd: 1, mode: PIPE, inode: 1n, payload, startNs: 10_000_000n, comm: 'old' };
    const events = decoder.decode(Buffer.concat([
      stdioRecord(first),
      exitRecord({ pid: 5, startNs: 10_000_000n, comm: 'old' }),
      stdioRecord({ ...first, startNs: 20_000_000n, comm: 'new' }),
    ]));
    expect(events.map((event) => [event.comm, event.process])).toEqual([
      ['old', 'h0.b0.1.5'], ['old', 'h0.b0.1.5'], ['new', 'h0.b0.2.5'],
    ]);
  });

  test('a process adopted from /proc and its records have one key', () => {
    const { decoder, processes } = setUp();
    const adopted = processes.adopt({ pid: 5, startTicks: 123n, comm: 'seen', root: 5 });
    const [event] = decoder.decode(stdioRecord({
      pid: 5, fd: 1, mode: PIPE, inode: 1n, payload: Buffer.from('x'), startNs: 1_239_999_999n,
    }));
    expect(event?.process).toBe(adopted.key);
    expect(processes.liveCount).toBe(1);
  });

  test('a name that changes is followed', () => {
    const { decoder } = setUp();
    const write = (comm: string) => stdioRecord({ pid: 5, fd: 1, mode: PIPE, inode: 1n, payload: Buffer.alloc(0), comm });
    const events = decoder.decode(Buffer.concat([write('one'), write('a-name-of-fifteen-bytes'.slice(0, 15)), write('one')]));
    expect(events.map((event) => event.comm)).toEqual(['one', 'a-name-of-fifte', 'one']);
  });

  test('descendants keep their session after the root has gone', () => {
    const { decoder } = setUp();
    const events = decoder.decode(Buffer.concat([
      exitRecord({ pid: 5, startNs: 10_000_000n }),
      forkRecord({ pid: 9, root: 5, startNs: 30_000_000n, ppid: 8, parentStartNs: 20_000_000n }),
    ]));
    expect(events[1]?.session).toBe('h0.b0.1.5');
  });
});

describe('what the decoder cannot read', () => {
  const good = stdioRecord({ pid: 5, fd: 1, mode: PIPE, inode: 1n, payload: Buffer.from('x') });

  test('an unknown kind is skipped and counted', () => {
    const { decoder } = setUp();
    expect(decoder.decode(Buffer.concat([record(999, 80, { pid: 5 }), good]))).toHaveLength(1);
    expect(decoder.counters()).toMatchObject({ unknown_kind: 1, records: 2, malformed: 0 });
  });

  test('a length beyond the record is counted, and the next record is read', () => {
    const { decoder } = setUp();
    const bad = Buffer.from(good);
    bad.writeUInt32LE(0xffff_ffff, STDIO.len);
    expect(decoder.decode(Buffer.concat([bad, good]))).toHaveLength(1);
    expect(decoder.counters()).toMatchObject({ malformed: 1, malformed_bytes: good.length });
  });

  test.each([0, 63, 0xffff_ffff])('a size of %d ends the batch and is counted', (size) => {
    const { decoder } = setUp();
    const bad = Buffer.from(good);
    bad.writeUInt32LE(size, HEADER.size);
    expect(decoder.decode(Buffer.concat([good, bad, good]))).toHaveLength(1);
    expect(decoder.counters()).toMatchObject({ malformed: 1, malformed_bytes: 2 * good.length });
  });

  test('every truncation of a batch is survived', () => {
    const { decoder } = setUp();
    for (let length = 0; length < good.length; length++) {
      expect(decoder.decode(good.subarray(0, length))).toEqual([]);
    }
  });

  test('records that never came are counted, late ones are not', () => {
    const { decoder } = setUp();
    const numbered = (cpu: number, number: number) => record(999, 64, { pid: 1, cpu, number });
    decoder.decode(Buffer.concat([numbered(0, 5), numbered(1, 1), numbered(0, 7), numbered(0, 6), numbered(1, 4)]));
    expect(decoder.counters()).toMatchObject({ sequence_gaps: 2 });
  });
});

describe('the process table', () => {
  test('forgets ended processes, not live ones', () => {
    const { decoder, processes } = setUp();
    processes.adopt({ pid: 1, startTicks: 1n, comm: 'live', root: 1 });
    for (let pid = 2; pid < LIMITS.exitedProcesses + 1000; pid++) decoder.decode(exitRecord({ pid, root: 1 }));
    expect(processes.get(1)?.comm).toBe('live');
    expect(processes.get(2)).toBeUndefined();
    expect(processes.liveCount).toBe(1);
    expect([...processes.live()].map((entry) => entry.pid)).toEqual([1]);
  });
});
