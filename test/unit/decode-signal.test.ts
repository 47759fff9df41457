import { describe, expect, test } from 'vitest';
import { createDecoder, type DecoderOptions } from '../../src/decode/decode.ts';
import { RECORD_FLAG, RECORD_KIND, SIGNAL_OUTCOME, SIZE } from '../../src/decode/layout.ts';
import { createProcessTable } from '../../src/decode/process-table.ts';
import { createIdentity } from '../../src/identity.ts';
import { BootClock } from '../../src/time.ts';
import { readlineRecord, record, signalRecord, stdioRecord } from '../helpers/records.ts';

function setUp(more: Partial<DecoderOptions> = {}) {
  const identity = createIdentity({ host: 'h0', boot: 'b0', collector: 'c0' });
  return createDecoder({ clock: new BootClock(0n), identity, processes: createProcessTable(identity), readPath: () => null, ...more });
}

describe('records of signals', () => {
  test('name sender and target by their keys', () => {
    const [event] = setUp().decode(signalRecord({ pid: 5, signal: 15, senderPid: 5, targetPid: 9, targetStartNs: 20_000_000n }));
    expect(event).toMatchObject({ source: 'signal', pid: 5 });
    expect(event?.data).toEqual({
      signal: 'SIGTERM', number: 15, sent_by: 'process', sender_pid: 5, sender_comm: 'sender', sender: 'h0.b0.1.5',
      target_pid: 9, target_comm: 'sixteen-is-full!', target: 'h0.b0.2.9', outcome: 'delivered', error: null,
    });
  });

  test('of the kernel have no sender', () => {
    const [event] = setUp().decode(signalRecord({ pid: 5, signal: 11, targetPid: 5, targetStartNs: 20_000_000n, outcome: SIGNAL_OUTCOME.SIGNAL_IGNORED }));
    expect(event?.data).toMatchObject({ sent_by: 'kernel', sender_pid: null, sender_comm: null, sender: null, outcome: 'ignored' });
  });

  test('that failed say why, to a group, too', () => {
    const [event] = setUp().decode(signalRecord({ pid: 5, signal: 9, senderPid: 5, targetPid: -7, outcome: SIGNAL_OUTCOME.SIGNAL_FAILED, error: 1 }));
    expect(event?.data).toMatchObject({ target_pid: -7, target: null, outcome: 'failed', error: 'EPERM' });
  });

  test('with an outcome that nobody knows are counted as malformed', () => {
    const decoder = setUp();
    expect(decoder.decode(signalRecord({ pid: 5, signal: 9, targetPid: 7, outcome: 99 }))).toEqual([]);
    expect(decoder.counters()).toMatchObject({ malformed: 1, malformed_bytes: SIZE.signal_sent });
  });
});

describe('records of lines', () => {
  test('carry the line, cut where it was', () => {
    const events = setUp().decode(Buffer.concat([
      readlineRecord({ pid: 5, line: Buffer.from('echo é') }),
      readlineRecord({ pid: 5, line: Buffer.from('long'), flags: RECORD_FLAG.RECORD_TRUNCATED }),
    ]));
    expect(events.map(({ data }) => data)).toEqual([{ line: 'echo é', truncated: false }, { line: 'long', truncated: true }]);
  });

  test('longer than their record are counted as malformed', () => {
    const decoder = setUp();
    expect(decoder.decode(readlineRecord({ pid: 5, line: Buffer.from('x'), len: 2 }))).toEqual([]);
    expect(decoder.counters()).toMatchObject({ malformed: 1 });
  });
});

test('an io_uring is handed to whoever wants to know, and is no event', () => {
  const users: number[] = [];
  const decoder = setUp({ onIoUring: ({ pid }) => users.push(pid) });
  expect(decoder.decode(record(RECORD_KIND.RECORD_PROCESS_IO_URING, SIZE.process_io_uring, { pid: 5 }))).toEqual([]);
  expect(users).toEqual([5]);
});

describe('the two ends of a descriptor', () => {
  const PIPE = 0o010600, SOCKET = 0o140600, CHARACTER = 0o020600, REGULAR = 0o100644;
  const payload = Buffer.from('x');

  test.each([
    ['a pipe', { mode: PIPE, inode: 7n }, 'pipe:[7] write', 'pipe:[7] read', 'pipe:[7]'],
    ['a unix socket', { mode: SOCKET, inode: 7n, peer: 8 }, 'socket:[7]', 'socket:[8]', 'socket:[8]'],
    ['a terminal', { mode: CHARACTER, inode: 5n, device: (136 << 8) | 2 }, '/dev/pts/2', '/dev/ptmx 2', '/dev/ptmx'],
    ['its master', { mode: CHARACTER, inode: 5n, device: (5 << 8) | 2, peer: 3 }, '/dev/ptmx 2', '/dev/pts/2', '/dev/pts/2'],
  ])('of %s have names that agree', (_name, file, own, other, target) => {
    const asked: unknown[] = [];
    const decoder = setUp({ peersOf: ({ ends, direction }) => {
      asked.push([direction, ends.writer, ends.peerOfWriter]);
      return [];
    } });
    const [event] = decoder.decode(stdioRecord({ pid: 5, fd: 1, payload, ...file }));
    expect(asked).toEqual([['write', own, other]]);
    expect(event?.data).toMatchObject({ peer_target: target, peers: [] });
  });

  test.each([
    ['a file', { mode: REGULAR, inode: 7n }],
    ['the null device', { mode: CHARACTER, inode: 5n, device: (1 << 8) | 3 }],
    ['a socket of a network, or one that is connected no more', { mode: SOCKET, inode: 7n }],
  ])('of %s are not asked for', (_name, file) => {
    const decoder = setUp({ peersOf: () => { throw new Error('asked'); } });
    expect(decoder.decode(stdioRecord({ pid: 5, fd: 1, payload, ...file }))[0]?.data).toMatchObject({ peer_target: null, peers: null });
  });
});
