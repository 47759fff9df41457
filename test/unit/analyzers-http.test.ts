import { Subject, from, map, take } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { type HttpOptions, createHttpCounters, http } from '../../analyzers/http.ts';
import { replayGate } from '../../analyzers/replay-gate.ts';
import type { Event, ProcessEvent, TlsEvent } from '../../src/event.ts';
import { nanoseconds } from '../../src/time.ts';
import { analyze, chunk, closing } from '../cases.ts';

const nextId = (): string => 'id';
const GET = 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

interface Place {
  readonly position?: number;
  readonly connection?: string;
  readonly timeMs?: number;
}

function write(text: string, { position = 0, ...place }: Place = {}): TlsEvent {
  return chunk({ direction: 'write', bytes: Buffer.from(text), position, ...place });
}

function read(text: string, { position = 0, ...place }: Place = {}): TlsEvent {
  return chunk({ direction: 'read', bytes: Buffer.from(text), position, ...place });
}

function exitOf(process: string, timeMs = 0): ProcessEvent {
  return {
    timestamp: nanoseconds(BigInt(timeMs * 1e6)), source: 'process', pid: 7, comm: 'agent', id: 'x', process, session: 'p1',
    data: {
      event: 'EXIT', ppid: 1, exit_code: 0, signal: null, core_dumped: false, duration_ms: 1,
      peak_rss_bytes: 1, peak_rss_upper_bound: false, user_ms: 1, system_ms: 1, read_bytes: null, written_bytes: null,
    },
  };
}

function virtualTime(): TestScheduler {
  return new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
}

/** One letter for each kind of event, so that marbles stay readable. */
function letter(event: Event): string {
  if (event.source === 'http') return { complete: 'H', aborted: 'A', partial: 'P' }[event.data.state];
  if (event.source === 'process') return 'e';
  if (event.source !== 'tls') return '?';
  return event.data.event !== 'DATA' ? 'x' : event.data.direction === 'write' ? 'w' : 'r';
}

function counted(events: readonly Event[], options: Partial<HttpOptions> = {}) {
  const counters = createHttpCounters();
  return { ...analyze(events, { ...options, counters }), counters: counters.snapshot() };
}

describe('subscription', () => {
  const values = { w: write(GET), r: read(OK), x: closing(), e: exitOf('p7'), f: exitOf('p8') };
  const letters = { w: 'w', r: 'r', x: 'x', e: 'e', H: 'H', A: 'A', P: 'P' };

  it.each([
    ['adds an exchange when it is complete', '-w-r---|', '-w-(rH)|'],
    ['flushes what is in flight when the events end', '-w-|', '-w-(A|)'],
    ['flushes what is in flight when the source fails', '-w-#', '-w-(A#)'],
    ['flushes before the close that ends the connection', '-w-x---|', '-w-(Ax)|'],
    ['flushes before the exit of the process', '-w-e---|', '-w-(Ae)|'],
    ['lets the exit of another process pass', '-w-f---|', '-w-e---(A|)'],
    ['adds nothing to a connection without bytes', '-x-|', '-x-|'],
  ])('%s', (_name, input, output) => {
    virtualTime().run(({ cold, expectObservable }) => {
      expectObservable(cold(input, values).pipe(http({ nextId }), map(letter))).toBe(output, letters);
    });
  });

  it('leaves the source when it is left, and emits nothing more', () => {
    const scheduler = virtualTime();
    scheduler.run(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot('-w-r-w-|', values);
      expectObservable(source.pipe(http({ nextId, scheduler }), map(letter)), '^-!').toBe('-w', letters);
      expectSubscriptions(source.subscriptions).toBe('^-!');
    });
  });

  it('survives being left in the middle of an event', () => {
    const seen: string[] = [];
    from([write(GET), read(OK), write(GET)]).pipe(http({ nextId }), take(2), map(letter)).subscribe((one) => seen.push(one));
    expect(seen).toEqual(['w', 'r']);
  });

  it('has state of its own for each subscription', () => {
    const operator = http({ nextId });
    const first: string[] = [];
    const second: string[] = [];
    from([write(GET)]).pipe(operator, map(letter)).subscribe((one) => first.push(one));
    from([read(OK)]).pipe(operator, map(letter)).subscribe((one) => second.push(one));
    expect([first, second]).toEqual([['w', 'A'], ['r', 'P']]);
  });

  it('passes every event on, unchanged and in order', () => {
    const events = [exitOf('p9'), write(GET), exitOf('p8'), read('HTTP/1.1 20'), closing('c9')];
    const { order } = analyze(events);
    expect(order.slice(0, 5)).toEqual(events);
    for (const [i, event] of events.entries()) expect(order[i]).toBe(event);
  });
});

describe('idle connections', () => {
  it('are flushed by the scheduler when no event comes', () => {
    const scheduler = virtualTime();
    scheduler.run(({ hot, expectObservable }) => {
      const source = hot('w', { w: write(GET) });
      const options = { nextId, scheduler, limits: { connectionIdleMs: 50 } };
      expectObservable(source.pipe(http(options), map(letter)), '^ 99ms !').toBe('w 49ms A', { w: 'w', A: 'A' });
    });
  });

  it('are flushed by the time of other events', () => {
    const options = { limits: { connectionIdleMs: 1000 } };
    const { derived, counters } = counted([write(GET), exitOf('p9', 999), exitOf('p9', 1500), exitOf('p9', 2000)], options);
    expect(derived).toMatchObject([{ state: 'aborted', reason: 'connection idle' }]);
    expect(counters.connections_idle).toBe(1);
  });

  it('may come back, with new exchange numbers', () => {
    const events = [
      write(GET), read(OK), exitOf('p9', 700_000),
      write(GET, { position: 28, timeMs: 700_001 }), read(OK, { position: 40, timeMs: 700_002 }),
    ];
    expect(analyze(events).derived).toMatchObject([{ exchange: 'c1#0' }, { exchange: 'c1#28', state: 'complete' }]);
  });
});

describe('many connections', () => {
  it('keeps 200 interleaved connections apart', () => {
    const ids = Array.from({ length: 200 }, (_, i) => `c${i}`);
    const body = (id: string): string => `${id} `.repeat(20);
    const request = (id: string): string => `POST /${id} HTTP/1.1\r\nHost: ${id}\r\nContent-Length: ${body(id).length}\r\n\r\n${body(id)}`;
    const response = (id: string): string => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${id.length.toString(16)}\r\n${id}\r\n0\r\n\r\n`;
    const events: TlsEvent[] = [];
    for (let part = 0; part < 40; part++) {
      for (const connection of ids) events.push(...slice(request(connection), part, 40, connection, write));
      for (const connection of ids) events.push(...slice(response(connection), part - 1, 39, connection, read));
    }
    const { derived } = analyze(events);
    expect(derived).toHaveLength(200);
    for (const one of derived) {
      const id = String(one['connection']);
      expect(one).toMatchObject({ state: 'complete', path: `/${id}`, request_body: body(id), response_body: id });
    }
  });

  function slice(text: string, part: number, parts: number, connection: string, make: typeof write): TlsEvent[] {
    const size = Math.ceil(text.length / parts);
    if (part < 0 || part * size >= text.length) return [];
    return [make(text.slice(part * size, (part + 1) * size), { position: part * size, connection })];
  }
});

describe('order and loss', () => {
  it('puts parts in order that came out of it', () => {
    const events = [write(GET.slice(0, 5)), write(GET.slice(12), { position: 12 }), write(GET.slice(5, 12), { position: 5 }), read(OK)];
    const { derived, counters } = counted(events);
    expect(derived).toMatchObject([{ path: '/1', state: 'complete' }]);
    expect(counters).toMatchObject({ reordered: 1, gaps: 0 });
  });

  it('takes missing bytes for a gap when they do not come in time', () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n';
    const events = [
      write(GET), read(head),
      read('aaaaa', { position: head.length + 5, timeMs: 1 }),
      read('bbbbb', { position: head.length + 10, timeMs: 50 }),
      read('ccccc', { position: head.length + 15, timeMs: 101 }),
    ];
    const { derived, counters } = counted(events);
    expect(derived).toMatchObject([{ state: 'partial', reason: 'gap of 5 bytes', response_body: 'aaaaabbbbbccccc', response_body_bytes: 20 }]);
    expect(counters).toMatchObject({ gaps: 1, gap_bytes: 5 });
  });

  it('says when the memory of the program could not be read', () => {
    const event = write(GET);
    const faulty = { ...event, data: { ...event.data, fault: true } } as TlsEvent;
    expect(analyze([faulty, read(OK)]).derived).toMatchObject([{ state: 'partial', reason: 'memory of the program could not be read' }]);
  });

  it('takes a payload cut by the cap for the gap that it is', () => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n';
    const events = [
      chunk({ direction: 'write', bytes: Buffer.from(`${head}0123456789`), position: 0, total: head.length + 100 }),
      write(GET, { position: head.length + 100 }), read(OK + OK),
    ];
    expect(analyze(events).derived).toMatchObject([
      { state: 'partial', reason: 'gap of 90 bytes', request_body: '0123456789', request_body_bytes: 100 },
      { path: '/1', state: 'complete' },
    ]);
  });

  it.each([['the connection goes on', false], ['the connection ends', true]])('knows that gap where nothing follows in its direction: %s', (_what, ends) => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n';
    const total = head.length + 100;
    const cut = (bytes: Buffer, offset: number): TlsEvent => {
      const event = chunk({ direction: 'write', bytes, position: offset, offset, total });
      return { ...event, data: { ...event.data, truncated: true } } as TlsEvent;
    };
    const parts = [cut(Buffer.from(head), 0), cut(Buffer.from('0123456789'), head.length)];
    const expected = { state: 'partial', reason: 'gap of 90 bytes', request_body: '0123456789', request_body_bytes: 100 };
    const { derived, counters } = counted([...parts, ...(ends ? [closing()] : [read(OK), write(GET, { position: total }), read(OK, { position: OK.length })])]);
    expect(derived).toMatchObject(ends ? [expected] : [{ ...expected, status: 200 }, { path: '/1', state: 'complete' }]);
    expect(counters).toMatchObject({ gaps: 1, gap_bytes: 90 });
  });
});

describe('limits', () => {
  it('lets the longest idle connection go when there are too many', () => {
    const events = ['a', 'b', 'c'].map((connection, i) => write(GET, { connection, timeMs: i }));
    const { derived, counters } = counted(events, { limits: { connections: 2 } });
    expect(derived.map((one) => [one['connection'], one['reason']])).toEqual([
      ['a', 'too many connections'], ['b', 'capture ended'], ['c', 'capture ended'],
    ]);
    expect(counters.connections_evicted).toBe(1);
  });

  it('gives a connection up when too many requests wait', () => {
    const { derived, counters } = counted([write(GET.repeat(4)), read(OK)], { limits: { httpPendingPerConnection: 2 } });
    expect(derived).toHaveLength(3);
    expect(derived[0]).toMatchObject({ state: 'partial', reason: 'too many requests waiting' });
    expect(counters).toMatchObject({ requests_overrun: 3, opaque_overrun: 1 });
  });

  it('keeps bodies within the memory that all connections share, and gives it back', () => {
    const post = (length: number): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;
    const half = 'x'.repeat(3000);
    const events = ['a', 'b', 'c'].flatMap((connection) => [
      write(post(6000), { connection }), write(half, { connection, position: post(6000).length }),
      write(half, { connection, position: post(6000).length + 3000 }),
    ]);
    const later = [read(OK, { connection: 'a' }), read(OK, { connection: 'b' }), read(OK, { connection: 'c' }),
      write(post(6000), { connection: 'd' }), write(half, { connection: 'd', position: post(6000).length })];
    const { derived, counters } = counted([...events, ...later], { limits: { httpBodyBytesTotal: 10_000 } });
    const bodies = derived.map((one) => String(one['request_body'] ?? '').length);
    expect(bodies).toEqual([6000, 4000, 0, 3000]);
    expect(derived.map((one) => one['request_body_truncated'])).toEqual([false, true, true, false]);
    expect(counters).toMatchObject({ body_memory_full: 2, bodies_truncated: 2 });
  });

  it('counts connections that are no HTTP by name', () => {
    const { counters } = counted([
      write('\x16\x03\x01 what', { connection: 'b' }), write('EHLO', { connection: 'c' }),
    ]);
    expect(counters).toMatchObject({ opaque_unknown: 1, opaque_bytes: 12 });
  });
});

describe('raw chunks', () => {
  const locateSecrets: HttpOptions['locateSecrets'] = (_part, bytes) => {
    const start = bytes.indexOf('hunter2');
    return start === -1 ? [] : [{ start, end: start + 7 }];
  };
  const raw = { raw: true, locateSecrets };

  it('wait until their message is whole, and come before its exchange', () => {
    const seen: string[] = [];
    const events = new Subject<Event>();
    events.pipe(http({ nextId, ...raw }), map(letter)).subscribe((one) => seen.push(one));
    events.next(write(GET.slice(0, 10)));
    expect(seen).toEqual([]);
    events.next(write(GET.slice(10), { position: 10 }));
    expect(seen).toEqual(['w', 'w']);
    events.next(read(OK.slice(0, -1)));
    expect(seen).toEqual(['w', 'w']);
    events.next(read('k', { position: OK.length - 1 }));
    expect(seen).toEqual(['w', 'w', 'r', 'r', 'H']);
  });

  it('leave with secrets masked at equal length, over their borders too', () => {
    const text = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\npassword=hunter2!';
    const { chunks, derived } = analyze([write(text.slice(0, -5)), write(text.slice(-5), { position: text.length - 5 }), read(OK)], raw);
    const payloads = chunks.map(({ data }) => (data.event === 'DATA' ? Buffer.from(data.payload).toString() : ''));
    expect(payloads.slice(0, 2).join('')).toBe(text.replace('hunter2', '*******'));
    expect(derived).toMatchObject([{ request_body: 'password=*******!', redacted: 1 }]);
  });

  it('leave out what no parser could read, but say how much it was', () => {
    const { chunks, counters } = counted([write('\x00 hunter2')], raw);
    expect(chunks).toMatchObject([{ data: { len: 0, withheld: 9 } }]);
    expect(chunks[0]?.data).toHaveProperty('payload', Buffer.alloc(0));
    expect(counters).toMatchObject({ withheld_chunks: 1, withheld_bytes: 9 });
    const kept = analyze([write('\x00 hunter2')], { raw: true, keepOpaque: true });
    expect(kept.chunks[0]).toEqual(write('\x00 hunter2'));
  });

  it('leave early and withheld when too much waits', () => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9001\r\n\r\n';
    const { chunks, counters } = counted(
      [write(head), write('x'.repeat(3000), { position: head.length }), write('y'.repeat(6000), { position: head.length + 3000 })],
      { ...raw, limits: { rawHeldBytes: 4000 } },
    );
    expect(chunks.map(({ data }) => (data.event === 'DATA' ? [data.len, data.withheld] : []))).toEqual([[head.length, undefined], [0, 3000], [0, 6000]]);
    expect(counters.held_full).toBe(1);
  });
});

describe('replay gate', () => {
  it('drops derived events of connections that have raw chunks, and no others', () => {
    const [one] = analyze([write(GET), read(OK)]).order.filter((event) => event.source === 'http');
    const other = { ...one, data: { ...one?.data, connection: 'c2' } } as Event;
    const seen: Event[] = [];
    from([one as Event, other, write(GET)]).pipe(replayGate(new Set(['c1']))).subscribe((event) => seen.push(event));
    expect(seen).toEqual([other, write(GET)]);
  });
});
