import { describe, expect, test } from 'vitest';
import { createSocketJoiner } from '../../src/decode/join.ts';
import type { Direction, Event, TlsData, TlsEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { nanoseconds } from '../../src/time.ts';

const endpointOf = (socket: string) => ({
  family: 'ipv4' as const, local: { address: '127.0.0.1', port: 5000 }, remote: { address: '127.0.0.1', port: 443 }, socket,
});

function eventOf(data: TlsData, ms = 0, process = 'p'): TlsEvent {
  return { timestamp: nanoseconds(BigInt(ms) * 1_000_000n), source: 'tls', pid: 1, comm: 'deno', data, id: 'i', process, session: null };
}

function chunk(key: string, direction: Direction, position: number, text: string, ms = 0): TlsEvent {
  const payload = Buffer.from(text);
  return eventOf({
    event: 'DATA', connection: key, direction, position, len: payload.length, total: payload.length, offset: 0, payload,
    truncated: false, fault: false, tid: 1, library: 'rustls', endpoint: null, server_name: null,
  }, ms);
}

function bound(key: string, socket: string, process = 'p'): TlsEvent {
  return eventOf({ event: 'ENDPOINT', connection: key, endpoint: endpointOf(socket), server_name: null, evidence: 'inferred', library: 'rustls' }, 0, process);
}

const closed = (key: string): TlsEvent => eventOf({ event: 'CLOSE', connection: key });

function join(...events: TlsEvent[]) {
  const joiner = createSocketJoiner();
  const out: Event[] = [];
  for (const event of events) joiner.take(event, out);
  return { joiner, out, lines: () => out.map(line) };
}

function line({ source, data }: Event): string {
  if (source !== 'tls') return source;
  if (data.event !== 'DATA') return `${data.event} ${data.connection}`;
  return `${data.connection} ${data.direction} ${data.position} ${Buffer.from(data.payload).toString()} ${data.endpoint?.socket ?? 'nowhere'}`;
}

describe('the two keys of a rustls connection', () => {
  test('become one connection, under the name of the first, when they use one socket', () => {
    const { lines } = join(
      chunk('w', 'write', 0, 'request'), bound('w', '7'), bound('r', '7'), chunk('r', 'read', 0, 'reply'), chunk('w', 'write', 7, 'again'),
    );
    expect(lines()).toEqual(['ENDPOINT w', 'w write 0 request 7', 'w read 0 reply 7', 'w write 7 again 7']);
  });

  test('are told apart by process and by socket', () => {
    const { lines } = join(
      bound('a', '7'), bound('b', '8'), bound('c', '7', 'another process'), chunk('b', 'read', 0, 'B'), chunk('a', 'read', 0, 'A'), chunk('c', 'read', 0, 'C'),
    );
    expect(lines()).toEqual(['ENDPOINT a', 'ENDPOINT b', 'ENDPOINT c', 'b read 0 B 8', 'a read 0 A 7', 'c read 0 C 7']);
  });

  test('keep the order of what waited for its socket', () => {
    const { lines } = join(chunk('w', 'write', 0, 'one'), chunk('w', 'write', 3, 'two'), bound('w', '7'));
    expect(lines()).toEqual(['ENDPOINT w', 'w write 0 one 7', 'w write 3 two 7']);
  });

  test('count on after a key update', () => {
    const { lines } = join(bound('w', '7'), chunk('w', 'write', 0, 'before'), chunk('w2', 'write', 0, 'after'), bound('w2', '7'));
    expect(lines().at(-1)).toBe('w write 6 after 7');
  });

  test('show bytes that were lost as a gap', () => {
    const { lines } = join(bound('r', '7'), chunk('r', 'read', 100, 'late'));
    expect(lines().at(-1)).toBe('r read 100 late 7');
  });

  test('end as one, when the peer has ended, and once', () => {
    const { lines } = join(
      bound('w', '7'), bound('r', '7'), chunk('w', 'write', 0, 'q'), chunk('r', 'read', 0, 'a'), closed('w'), closed('r'),
    );
    expect(lines().slice(1)).toEqual(['w write 0 q 7', 'w read 0 a 7', 'CLOSE w']);
    const other = join(bound('w', '7'), bound('r', '7'), chunk('w', 'write', 0, 'q'), chunk('r', 'read', 0, 'a'), closed('r'), closed('w'));
    expect(other.lines().filter((text) => text.startsWith('CLOSE'))).toEqual(['CLOSE w']);
  });

  test('leave the next connection over the same socket alone', () => {
    const { lines } = join(bound('r', '7'), chunk('r', 'read', 0, 'a'), closed('r'), bound('s', '7'), chunk('s', 'read', 0, 'b'));
    expect(lines().slice(-2)).toEqual(['ENDPOINT s', 's read 0 b 7']);
  });
});

describe('what has no socket', () => {
  test('goes on under the name of its key when it waited too long, and keeps it', () => {
    const { joiner, lines } = join(
      chunk('w', 'write', 0, 'one'), chunk('x', 'write', 0, 'later', LIMITS.joinHeldMs), bound('w', '7'), chunk('w', 'write', 3, 'two', LIMITS.joinHeldMs),
    );
    expect(lines()).toEqual(['w write 0 one nowhere', 'ENDPOINT w', 'w write 3 two nowhere']);
    expect(joiner.flush().map(line)).toEqual(['x write 0 later nowhere']);
    expect(joiner.counters()).toMatchObject({ unjoined: 2, held_bytes: 0 });
  });

  test('is never more than the limit', () => {
    const half = 'x'.repeat(LIMITS.joinHeldBytes / 2);
    const { joiner, out } = join(chunk('a', 'write', 0, half), chunk('b', 'write', 0, half), chunk('c', 'write', 0, 'more'));
    expect(out.map(({ data }) => ('connection' in data ? data.connection : ''))).toEqual(['a']);
    expect(joiner.counters()).toMatchObject({ unjoined: 1, held_bytes: half.length + 4 });
  });

  test('comes out at the end', () => {
    const { joiner, out } = join(chunk('w', 'write', 0, 'last'));
    expect(out).toEqual([]);
    expect(joiner.flush().map(line)).toEqual(['w write 0 last nowhere']);
    expect(joiner.flush()).toEqual([]);
  });
});

test('other libraries pass untouched', () => {
  const event = eventOf({ event: 'ENDPOINT', connection: 'c', endpoint: endpointOf('7'), server_name: null, evidence: 'proven', library: 'openssl' });
  expect(join(event, closed('c')).out).toEqual([event, closed('c')]);
});
