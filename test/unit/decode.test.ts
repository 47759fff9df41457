import { describe, expect, test } from 'vitest';
import { containerOf } from '../../src/decode/container.ts';
import { createDecoder, type DecoderOptions } from '../../src/decode/decode.ts';
import { HEADER, RECORD_FLAG, RECORD_KIND, SIZE, STDIO } from '../../src/decode/layout.ts';
import { createProcessTable } from '../../src/decode/process-table.ts';
import { createIdentity } from '../../src/identity.ts';
import { LIMITS } from '../../src/limits.ts';
import { BootClock } from '../../src/time.ts';
import {
  execRecord, exitRecord, forkRecord, record, stdioRecord, tlsCloseRecord, tlsEndpointRecord, tlsHandshakeRecord, tlsRecord,
} from '../helpers/records.ts';

const OFFSET_NS = 1_700_000_000_000_000_000n;
const PIPE = 0o010600;
const SOCKET = 0o140600;
const CHARACTER = 0o020600;
const REGULAR = 0o100644;

const ID = '0123456789abcdef'.repeat(4);
const OTHER_ID = 'f'.repeat(64);

function setUp(readPath: (pid: number, fd: number, inode: bigint) => string | null = () => null, more: Partial<DecoderOptions> = {}) {
  const identity = createIdentity({ host: 'h0', boot: 'b0', collector: 'c0' });
  const processes = createProcessTable(identity);
  const decoder = createDecoder({ clock: new BootClock(OFFSET_NS), identity, processes, readPath, ...more });
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
    const batch = execRecord({ pid: 5, uid: 1000, filename: '/bin/grep', cwd: '/home/ä', exe: '/usr/bin/grep', cgroup: `/docker/${ID}`, argv: 'grep\0\0x y\0\0' });
    expect(decoder.decode(batch)[0]?.data).toEqual({
      event: 'EXEC', ppid: 1, parent: 'h0.b0.0.1', filename: '/bin/grep', argv: ['grep', '', 'x y', ''],
      cwd: '/home/ä', uid: 1000, gid: 7, exe: '/usr/bin/grep', cgroup: `/docker/${ID}`, container: ID,
      ancestors: [], truncated: false, existing: false,
    });
  });

  test.each([
    [`/system.slice/docker-${ID}.scope`, ID],
    [`/kubepods/burstable/pod1b2c/${ID}`, ID],
    [`/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope`, ID],
    [`/system.slice:cri-containerd:${ID}`, ID],
    [`/kubepods.slice/crio-${ID}.scope`, ID],
    [`/machine.slice/libpod-${ID}.scope/container`, ID],
    [`/docker/${OTHER_ID}/docker/${ID}`, ID],
    [`/machine.slice/libpod-conmon-${ID}.scope`, null],
    ['/user.slice/user-1000.slice/session-2.scope', null],
    [`/odd/${ID}0`, null],
    ['/', null],
  ])('the control group %s is of container %s', (path, id) => {
    expect(containerOf(path)).toBe(id);
  });

  test('a root has ancestors, its descendants have none; whoever joins is asked for', () => {
    const joined: number[] = [];
    const { decoder } = setUp(undefined, { ancestorsOf: (pid) => [{ pid, process: 'key', comm: 'sh' }], onJoin: (pid) => void joined.push(pid) });
    const texts = { filename: 'a', cwd: '/', argv: 'a\0' };
    const events = decoder.decode(Buffer.concat([
      execRecord({ pid: 5, root: 5, ...texts }), execRecord({ pid: 6, root: 5, ...texts }),
      record(RECORD_KIND.RECORD_PROCESS_JOIN, SIZE.process_join, { pid: 9 }),
    ]));
    expect(events.map(({ data }) => 'ancestors' in data && data.ancestors)).toEqual([[{ pid: 1, process: 'key', comm: 'sh' }], []]);
    expect(joined).toEqual([9]);
  });

  test('the launched command lives since its first exec, not since it was held', () => {
    const { decoder } = setUp(undefined, { heldPid: () => 5 });
    const exec = (timeNs: bigint) => execRecord({ pid: 5, timeNs, startNs: 1n, filename: 'a', cwd: '/', argv: 'a\0' });
    const events = decoder.decode(Buffer.concat([
      exec(3_000_000_000n), exec(4_000_000_000n), exitRecord({ pid: 5, startNs: 1n }), exitRecord({ pid: 6, startNs: 1_000_000_000n }),
    ]));
    expect(events.slice(2).map(({ data }) => 'duration_ms' in data && data.duration_ms)).toEqual([2000, 4000]);
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
      read_bytes: null, written_bytes: 0,
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

  test('chunks carry the endpoint of their connection once it is known, always the same object', () => {
    const { decoder } = setUp();
    const chunk = tlsRecord({ pid: 5, connection: 7n, payload: Buffer.from('x') });
    const events = decoder.decode(Buffer.concat([
      chunk,
      tlsEndpointRecord({ pid: 5, connection: 7n, socket: 99n, evidence: 2 }),
      chunk, chunk,
      tlsRecord({ pid: 5, connection: 8n, payload: Buffer.from('x') }),
      tlsCloseRecord({ pid: 5, connection: 7n }),
      chunk,
    ]));
    const endpoint = {
      family: 'ipv4', local: { address: '127.0.0.1', port: 4000 }, remote: { address: '10.0.0.2', port: 443 }, socket: '99',
    };
    expect(events[1]).toMatchObject({ source: 'tls', data: { event: 'ENDPOINT', connection: 'h0.b0.c0.c7', endpoint, evidence: 'proven' } });
    const told = events.map(({ data }) => ('endpoint' in data ? data.endpoint : undefined));
    expect(told).toEqual([null, endpoint, endpoint, endpoint, null, undefined, null]);
    expect(told[2]).toBe(told[1]);
    expect(told[3]).toBe(told[1]);
  });

  test('a handshake says how it ended and how long it took', () => {
    const { decoder } = setUp();
    const events = decoder.decode(tlsHandshakeRecord({ pid: 5, connection: 7n, latencyNs: 12_500_000n, ok: false, library: 2 }));
    expect(events).toMatchObject([{ source: 'tls', data: { event: 'HANDSHAKE', ok: false, latency_ms: 12.5, library: 'gnutls' } }]);
  });

  test('a handshake without a greeting or a socket asked for nothing that is known', () => {
    const { decoder } = setUp();
    const [event] = decoder.decode(tlsHandshakeRecord({ pid: 5, connection: 7n, latencyNs: 1n, ok: true, library: 1 }));
    expect(event?.data).toMatchObject({ endpoint: null, server_name: null, alpn: [] });
  });

  test.each([
    ['an endpoint of no family', tlsEndpointRecord({ pid: 5, connection: 7n, socket: 1n, evidence: 1, family: 0 })],
    ['an endpoint by no evidence', tlsEndpointRecord({ pid: 5, connection: 7n, socket: 1n, evidence: 3 })],
    ['a handshake of no library', tlsHandshakeRecord({ pid: 5, connection: 7n, latencyNs: 1n, ok: true, library: 77 })],
  ])('%s is malformed', (_name, batch) => {
    const { decoder } = setUp();
    expect(decoder.decode(batch)).toEqual([]);
    expect(decoder.counters()).toMatchObject({ malformed: 1 });
  });

  test('of more connections than are kept, the oldest loses its endpoint and is counted', () => {
    const { decoder } = setUp();
    const payload = Buffer.from('x');
    const chunkOf = (connection: number) => tlsRecord({ pid: 5, connection: BigInt(connection), payload });
    decoder.decode(tlsEndpointRecord({ pid: 5, connection: 0n, socket: 1n, evidence: 1 }));
    for (let connection = 1; connection <= LIMITS.connectionNames; connection++) decoder.decode(chunkOf(connection));
    expect(decoder.counters()).toMatchObject({ forgotten_connections: 1 });
    expect(decoder.decode(chunkOf(0))[0]?.data).toMatchObject({ connection: 'h0.b0.c0.c0', endpoint: null });
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

  test('descriptors beyond the limit are asked for anew, and counted', () => {
    const asked: number[] = [];
    const { decoder } = setUp((_pid, fd) => {
      asked.push(fd);
      return `/tmp/${fd}`;
    });
    const write = (fd: number) => stdioRecord({ pid: 5, fd, mode: REGULAR, inode: BigInt(fd), payload: Buffer.from('x') });
    const fds = Array.from({ length: LIMITS.descriptorsPerProcess }, (_, fd) => fd);
    decoder.decode(Buffer.concat(fds.map(write)));
    expect(decoder.counters()).toMatchObject({ descriptors_forgotten: 0 });
    const [, again] = decoder.decode(Buffer.concat([write(LIMITS.descriptorsPerProcess), write(0)]));
    expect(decoder.counters()).toMatchObject({ descriptors_forgotten: LIMITS.descriptorsPerProcess });
    expect(again?.data).toMatchObject({ target: '/tmp/0' });
    expect(asked.filter((fd) => fd === 0)).toHaveLength(2);
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
    expect(processes.counters()).toMatchObject({ forgotten_live: 0, forgotten_exited: LIMITS.exitedProcesses / 2 });
    expect(processes.liveCount).toBe(1);
    expect([...processes.live()].map((entry) => entry.pid)).toEqual([1]);
  });
});
