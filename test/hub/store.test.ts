import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiEvent, Exchange, Page, Process, Session } from '../../src/hub/api.ts';
import { openStore, type JsonPage, type Store } from '../../src/hub/store/store.ts';
import { expiredParts, type Part } from '../../src/hub/store/retention.ts';
import { tempDir } from '../helpers/files.ts';
import { batch, HTTP_DATA, line, processLines, SESSION, START_NS } from './lines.ts';
import { FREE_DISK_BYTES } from './support.ts';

const dir = tempDir();
let store: Store;

beforeAll(async () => {
  store = await openStore({ dataDir: dir.path, freeDiskBytes: FREE_DISK_BYTES, log: () => undefined });
});

afterAll(async () => {
  await store.close();
  dir.remove();
});

function parse<T>(page: JsonPage): Page<T> {
  return { items: page.items.map((item) => JSON.parse(item) as T), next: page.next };
}

async function eventsOf(session: string, more: { limit?: number; cursor?: string; order?: 'asc' | 'desc' } = {}): Promise<Page<ApiEvent>> {
  return parse(await store.events({ session, limit: 5000, order: 'asc', ...more }));
}

describe('storing batches', () => {
  test('keeps every digit of the time and of a number, and the text of data', async () => {
    const timestamp = START_NS + 123_456_789n;
    const data = '{"big":18446744073709551615,"float":1e2,"text":"a\\u0000\\"é\\ud83d\\ude00"}';
    await store.insertBatch('exact:1', Buffer.from(line({ sequence: 1, session: 'exact', timestamp }).replace(/"data":\{[^}]*\}/, `"data":${data}`)));
    const { items } = await store.events({ session: 'exact', limit: 10, order: 'asc' });
    expect(items).toHaveLength(1);
    expect(items[0]).toContain(`"timestamp":"${timestamp}"`);
    expect(items[0]).toContain(`"data":${data}`);
  });

  test('stores a batch that comes again with its token once, and equal lines under another token twice', async () => {
    const lines = batch(1, 100, { session: 'twice' });
    await store.insertBatch('twice:1', lines);
    await store.insertBatch('twice:1', lines);
    expect((await eventsOf('twice')).items).toHaveLength(100);
    await store.insertBatch('twice:2', lines);
    expect((await eventsOf('twice')).items).toHaveLength(200);
  });

  test('stores the good lines of a batch with bad ones, counts the rest, and does so once', async () => {
    const good = (sequence: number): string => line({ sequence, session: 'mixed' });
    const lines = Buffer.from([
      good(1), '{"timestamp":17,\n', good(2), 'garbage\n', '{"timestamp":"never","source":"x","pid":1,"comm":"c","id":"a","process":null,"session":null,"data":{}}\n',
      good(3), line({ sequence: 4, session: 'mixed', pid: -1 }), '\n', good(5),
    ].join(''));
    expect(await store.insertBatch('mixed:1', lines)).toEqual({ stored: 4, refused: 4 });
    expect(await store.insertBatch('mixed:1', lines)).toEqual({ stored: 4, refused: 4 });
    expect((await eventsOf('mixed')).items.map(({ id }) => id.split('.').at(-1))).toEqual(['1', '2', '3', '5']);
  });

  test('takes lone surrogates, bytes that are no UTF-8, unknown keys and an empty batch', async () => {
    const odd = Buffer.concat([
      Buffer.from(line({ sequence: 1, session: 'odd', data: { text: '\ud800' } })),
      Buffer.from(line({ sequence: 2, session: 'odd', data: { text: 'XX' } }).replace('XX', '\xff\xfe'), 'latin1'),
      Buffer.from(line({ sequence: 3, session: 'odd' }).replace('{', '{"later":{"a":[1]},').replace(/^\{("later":\{"a":\[1\]\}),/, '{$1,')),
    ]);
    expect(await store.insertBatch('odd:1', odd)).toEqual({ stored: 3, refused: 0 });
    expect((await eventsOf('odd')).items).toHaveLength(3);
    expect(await store.insertBatch('odd:2', Buffer.alloc(0))).toEqual({ stored: 0, refused: 0 });
  });

  test('takes a replayed capture that spans years', async () => {
    const day = 86_400_000_000_000n;
    const lines = Array.from({ length: 400 }, (_, n) => line({ sequence: n, session: 'years', timestamp: START_NS - BigInt(n) * day })).join('');
    await store.insertBatch('years:1', Buffer.from(lines));
    expect((await eventsOf('years')).items).toHaveLength(400);
  });
});

describe('lists', () => {
  test('page completely and in order, also among equal times, in both directions', async () => {
    // Seven events to each nanosecond, so that page ends fall between equal times.
    const lines = Array.from({ length: 500 }, (_, n) => line({ sequence: n + 1, session: 'pages', timestamp: START_NS + BigInt(Math.floor(n / 7)) })).join('');
    await store.insertBatch('pages:1', Buffer.from(lines));
    const expected = Array.from({ length: 500 }, (_, n) => n + 1);
    for (const order of ['asc', 'desc'] as const) {
      const seen: number[] = [];
      let cursor: string | undefined;
      do {
        const page: Page<ApiEvent> = await eventsOf('pages', { limit: 33, order, ...(cursor === undefined ? {} : { cursor }) });
        seen.push(...page.items.map(({ id }) => Number(id.split('.').at(-1))));
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      expect(seen).toEqual(order === 'asc' ? expected : expected.toReversed());
    }
  });

  test('filter by source, process and time', async () => {
    await store.insertBatch('filter:1', batch(1, 10, { session: 'filter', source: 'stdio' }));
    await store.insertBatch('filter:2', batch(11, 10, { session: 'filter', source: 'tls', process: 'p2' }));
    const count = async (filter: object): Promise<number> =>
      (await store.events({ session: 'filter', limit: 100, order: 'asc', ...filter })).items.length;
    expect(await count({ sources: ['tls'] })).toBe(10);
    expect(await count({ sources: ['tls', 'stdio'] })).toBe(20);
    expect(await count({ process: 'p2' })).toBe(10);
    const at = (sequence: number): string => String(START_NS + BigInt(sequence) * 1001n);
    expect(await count({ from: at(5), to: at(8) })).toBe(3);
  });

  test('cut long strings and say so; the event itself is whole', async () => {
    const body = 'é"\\\n'.repeat(700_000);
    const data = { ...HTTP_DATA, response_body: body, request_body: 'x'.repeat(3000), response_header_list: [['A', 'b'.repeat(20_000)]] };
    await store.insertBatch('long:1', Buffer.from(line({ sequence: 900_001, session: 'long', source: 'http', data })));
    await store.insertBatch('long:2', Buffer.from(line({ sequence: 900_002, session: 'long', source: 'http', data: { ...HTTP_DATA, request_body: 'y'.repeat(5000) } })));
    const [big, middle] = (await eventsOf('long')).items;
    expect(big?.cut).toBe(true);
    expect(big?.data['response_body']).toBe(body.slice(0, 2048));
    expect(big?.data['request_body']).toBe('x'.repeat(2048));
    expect(big?.data['method']).toBe('POST');
    expect(big?.data['request_headers']).toEqual({ host: ['api.example.com'] });
    expect(middle).toMatchObject({ cut: true, data: { request_body: 'y'.repeat(2048), response_body: 'ok' } });
    const whole = JSON.parse(await store.event(big?.id ?? '') ?? '{}') as ApiEvent;
    expect(whole.data).toEqual(data);
    expect(whole.cut).toBeUndefined();
    const [exchange] = parse<Exchange>(await store.exchanges({ session: 'long', limit: 1, order: 'asc' })).items;
    expect(exchange).toMatchObject({ method: 'POST', url: HTTP_DATA.url, status: 200, latency_ms: 12.5, ttfb_ms: 3.25, sse_events: null, request_body_bytes: 13 });
  });

  test('tell a session and its processes from their events', async () => {
    await store.insertBatch('tree:1', Buffer.from(processLines()));
    const session = parse<Session>(await store.sessions({ limit: 1000 })).items.find((item) => item.session === SESSION);
    expect(session).toMatchObject({
      host: 'host1', pid: 100, comm: 'agent', command: ['sh', '-c', 'ls'], cwd: '/home/u', exit_code: null, signal: 'SIGTERM',
      events: 7, processes: 2, exchanges: 1, lost: 3, end: String(START_NS + 5n * 1001n), start: String(START_NS + 1001n), last: String(START_NS + 7n * 1001n),
    });
    const { items } = parse<Process>(await store.processes({ session: SESSION, limit: 10 }));
    expect(items).toMatchObject([
      { pid: 100, ppid: 1, comm: 'agent', filename: '/bin/sh', signal: 'SIGTERM', exit_code: null, peak_rss_bytes: 8192 },
      { pid: 101, ppid: 100, parent: SESSION, comm: 'ls', filename: '/bin/ls', argv: ['ls'], uid: 1000, exit_code: 2, start: String(START_NS + 2n * 1001n) },
    ]);
    const first = parse<Process>(await store.processes({ session: SESSION, limit: 1 }));
    const second = parse<Process>(await store.processes({ session: SESSION, limit: 1, cursor: first.next ?? '' }));
    expect([...first.items, ...second.items]).toEqual(items);
    expect(second.next).toBeNull();
  });

  test('call a session by the command that it began with, whatever its root process became', async () => {
    const exec = (sequence: number, comm: string, argv: readonly string[], existing: boolean): string => line({
      sequence, comm, source: 'process', session: 'tail.root', process: 'tail.root',
      data: { event: 'EXEC', ppid: 1, parent: 'host1.boot1.0.1', filename: `/bin/${comm}`, argv, cwd: `/of/${comm}`, uid: 0, gid: 0, truncated: false, existing },
    });
    const later = exec(2, 'rm', ['rm', '-rf', 'build'], false);
    // Batches may be stored in any order.
    await store.insertBatch('tail:2', Buffer.from(later));
    await store.insertBatch('tail:1', Buffer.from(exec(1, 'bash', ['bash', '-c', 'make; rm -rf build'], true)));
    const session = parse<Session>(await store.sessions({ session: 'tail.root', limit: 1 })).items[0];
    expect(session).toMatchObject({ command: ['bash', '-c', 'make; rm -rf build'], comm: 'bash', cwd: '/of/bash' });
    const [root] = parse<Process>(await store.processes({ session: 'tail.root', limit: 1 })).items;
    expect(root).toMatchObject({ comm: 'rm', argv: ['rm', '-rf', 'build'] });
  });

  test('page sessions newest first', async () => {
    const all = parse<Session>(await store.sessions({ limit: 1000 })).items.map(({ session }) => session);
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const page: Page<Session> = parse(await store.sessions({ limit: 3, cursor }));
      paged.push(...page.items.map(({ session }) => session));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(paged).toEqual(all);
    expect(new Set(paged).size).toBe(paged.length);
  });
});

function part(name: string, day: string, bytes: number, written: number): Part {
  return { name, day, rows: 1, bytes, written };
}

describe('retention', () => {
  const now = Date.UTC(2025, 10, 20) / 1000;
  const limits = { bytes: 100, days: 14 };

  test('drops the oldest parts until the rest fits', () => {
    const parts = [part('a', '2025-11-18', 50, now), part('b', '2025-11-19', 40, now), part('c', '2025-11-20', 30, now), part('d', '2025-11-20', 30, now)];
    expect(expiredParts(parts, limits, now).map(({ name }) => name)).toEqual(['a']);
    expect(expiredParts(parts, { ...limits, bytes: 65 }, now).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(expiredParts(parts, { ...limits, bytes: 1000 }, now)).toEqual([]);
  });

  test('drops what is too old, but not an old capture that was replayed today', () => {
    const parts = [part('old', '2025-10-01', 10, now - 5 * 86_400), part('replayed', '2025-10-01', 10, now - 60), part('new', '2025-11-19', 10, now)];
    expect(expiredParts(parts, limits, now).map(({ name }) => name)).toEqual(['old']);
  });

  test('keeps a real store within its size and says what it dropped', async () => {
    const small = tempDir();
    const limited = await openStore({ dataDir: small.path, freeDiskBytes: FREE_DISK_BYTES, limits: { bytes: 200_000, days: 14 }, log: () => undefined });
    try {
      for (let n = 0; n < 20; n += 1) {
        const lines = Array.from({ length: 1000 }, (_, index) => line({ sequence: n * 1000 + index, data: { random: randomBytes(32).toString('hex') } }));
        await limited.insertBatch(`size:${n}`, Buffer.from(lines.join('')));
      }
      const before = await limited.info();
      expect(before.bytes).toBeGreaterThan(200_000);
      await limited.retain();
      const after = await limited.info();
      expect(after.bytes).toBeLessThanOrEqual(200_000);
      expect(after.events).toBeGreaterThan(0);
      expect(before.events - after.events).toBe(after.counters['dropped_events']);
      const [newest] = parse<ApiEvent>(await limited.events({ limit: 1, order: 'desc' })).items;
      expect(newest?.id.endsWith('.19999')).toBe(true);
    } finally {
      await limited.close();
      small.remove();
    }
  });

  test('stops inserts before the disk is full, and says so', async () => {
    const full = tempDir();
    const outcome = await openStore({ dataDir: full.path, freeDiskBytes: Number.MAX_SAFE_INTEGER, log: () => undefined }).then((opened) => opened, (error: unknown) => error);
    try {
      const failure = outcome instanceof Error ? outcome : await (outcome as Store).insertBatch('full:1', batch(1, 1)).then(() => undefined, (error: unknown) => error);
      expect(String(failure)).toMatch(/NOT_ENOUGH_SPACE|free space|space/i);
    } finally {
      if (!(outcome instanceof Error)) await (outcome as Store).close();
      full.remove();
    }
  });
});
