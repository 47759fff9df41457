/** HTTP/1 on the operator: traffic with Node's own server, whole and with one record of a hundred lost. */
import { describe, expect, it } from 'vitest';
import { createHttpCounters } from '../../analyzers/http.ts';
import type { TlsEvent } from '../../src/event.ts';
import { analyze, chunk } from '../cases.ts';
import { recordHttp1 } from '../helpers/http1-traffic.ts';
import { type Random, generator } from '../helpers/random.ts';
import type { TrafficRecord } from '../helpers/recorded-pair.ts';

type Derived = Readonly<Record<string, unknown>>;

function exchangesOf(records: readonly TrafficRecord[], counters = createHttpCounters()): Derived[] {
  const events: TlsEvent[] = records.map(({ connection, direction, bytes, position }, i) => chunk({ connection, direction, bytes, position, timeMs: i / 100 }));
  return analyze(events, { counters }).derived.filter((one) => one['source'] === 'http');
}

function responseId(one: Derived): string | undefined {
  const [id] = (one['response_headers'] as Record<string, string[]> | null)?.['x-id'] ?? [];
  return id;
}

/** All that it says of request and response names one number, however little it says. */
function isRightPair(one: Derived): boolean {
  const numbers = [
    /^\/r\/(\d+)$/.exec(String(one['path']))?.[1], /^ask=(\d+);/.exec(String(one['request_body']))?.[1],
    /^id=(\d+);/.exec(String(one['response_body']))?.[1], responseId(one),
  ].filter((number) => number !== undefined);
  return new Set(numbers).size <= 1;
}

function pathNumber(one: Derived): number {
  return Number(String(one['path']).slice('/r/'.length));
}

describe("traffic with Node's HTTP/1 server", { timeout: 240_000 }, () => {
  it('10,000 requests over 100 connections give 10,000 right pairs, with and without lost records', async () => {
    const records = await recordHttp1({ connections: 100, requestsPerConnection: 100 });
    const counters = createHttpCounters();
    const found = exchangesOf(records, counters);
    expect(found).toHaveLength(10_000);
    for (const one of found) {
      expect(one).toMatchObject({ state: 'complete', reason: null });
      expect(isRightPair(one)).toBe(true);
    }
    expect(new Set(found.map((one) => one['path'])).size).toBe(10_000);
    expect(counters.snapshot()).toMatchObject({ responses_unpaired: 0, resynchronised: 0, opaque_bytes: 0, gaps: 0 });

    for (const seed of [1, 2, 3]) {
      const random = generator(seed);
      const dropped = new Set(records.filter(() => random(100) === 0));
      const touched = touchedNumbers(records, dropped);
      const left = exchangesOf(records.filter((record) => !dropped.has(record)));
      expect(left.filter((one) => !isRightPair(one)).map((one) => [one['path'], responseId(one), one['state'], one['reason']]), `seed ${seed}`).toEqual([]);
      const complete = new Set(left.filter((one) => one['state'] === 'complete').map(pathNumber));
      const untouched = Array.from({ length: 10_000 }, (_, id) => id).filter((id) => !touched.has(id));
      expect(touched.size).toBeGreaterThan(20);
      expect(untouched.filter((id) => complete.has(id)).length).toBeGreaterThan(0.95 * untouched.length);
    }
  });
});

describe("traffic with Node's HTTP/1 server, joined midway", { timeout: 240_000 }, () => {
  it.each([20, 30])('one record of %i lost: no wrong pair, and most of what was not touched', async (rate) => {
    const records = await recordHttp1({ connections: 40, requestsPerConnection: 40 });
    for (const seed of [1, 2, 3, 4]) {
      const random = generator(seed);
      const lengths = new Map<string, number>();
      for (const { connection } of records) lengths.set(connection, (lengths.get(connection) ?? 0) + 1);
      const from = new Map(Array.from(lengths, ([connection, length]) => [connection, random(length / 2)]));
      const place = new Map<string, number>();
      const dropped = new Set(records.filter(({ connection }) => {
        const at = place.get(connection) ?? 0;
        place.set(connection, at + 1);
        return at < (from.get(connection) ?? 0) || random(rate) === 0;
      }));
      const touched = touchedNumbers(records, dropped);
      const left = exchangesOf(records.filter((record) => !dropped.has(record)));
      expect(left.filter((one) => !isRightPair(one)).map((one) => [one['path'], responseId(one), one['state'], one['reason']]), `seed ${seed}`).toEqual([]);
      const complete = new Set(left.filter((one) => one['state'] === 'complete').map(pathNumber));
      // Those of clients that do not pipeline.
      const untouched = Array.from({ length: 1600 }, (_, id) => id).filter((id) => !touched.has(id) && Math.floor(id / 40) % 4 !== 3);
      expect(untouched.filter((id) => complete.has(id)).length, `seed ${seed}`).toBeGreaterThan(0.9 * untouched.length);
    }
  });
});

/** A client that has up to `depth` requests without a response. */
function pipelined(random: Random, depth: number): TrafficRecord[] {
  return talk(random, (_random, asked, answered) => asked - answered < depth && (asked === answered || random(2) === 0));
}

/** 40 exchanges, a record for each message. */
function talk(random: Random, client: Client): TrafficRecord[] {
  const turn = { left: 0 };
  const records: TrafficRecord[] = [];
  const position = { read: 0, write: 0 };
  const put = (direction: 'read' | 'write', text: string): void => {
    const bytes = Buffer.from(text);
    records.push({ connection: 'c1', direction, bytes, position: position[direction] });
    position[direction] += bytes.length;
  };
  for (let asked = 0, answered = 0; answered < 40;) {
    if (asked < 40 && client(random, asked, answered, turn)) put('write', `GET /r/${asked++} HTTP/1.1\r\nHost: a\r\n\r\n`);
    else put('read', `HTTP/1.1 200 OK\r\nX-Id: ${answered++}\r\nContent-Length: 2\r\n\r\nok`);
  }
  return records;
}

describe('a request that is lost whole', () => {
  it.each([1, 2, 3, 8])('of a client with up to %i at once, at the beginning or later: no wrong pair', (depth) => {
    let complete = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const random = generator(seed);
      const records = pipelined(random, depth);
      const requests = records.filter(({ direction }) => direction === 'write');
      const first = random(3) === 0 ? 0 : random(requests.length);
      const found = exchangesOf(records.filter((record) => record !== requests[first]));
      expect(found.filter((one) => one['method'] !== 'UNKNOWN' && one['status'] !== null && !isRightPair(one)), `seed ${seed}`).toEqual([]);
      complete += found.filter((one) => one['state'] === 'complete').length;
    }
    expect(complete).toBeGreaterThan(depth === 1 ? 300 * 36 : 300);
  });
});

/** When a client asks, by how many requests it has sent and how many answers it has; `turn` is its own to use. */
type Client = (random: Random, asked: number, answered: number, turn: { left: number }) => boolean;

const CLIENTS: Readonly<Record<string, Client>> = {
  'one at a time': (_random, asked, answered) => asked === answered,
  'in turns': (random, asked, answered, turn) => {
    if (asked === answered) turn.left = 1 + random(4);
    return turn.left-- > 0;
  },
  'two at all times': (_random, asked, answered) => asked - answered < 2,
  'up to eight': (random, asked, answered) => asked - answered < 8 && (asked === answered || random(2) === 0),
  'one at a time, later four': (random, asked, answered) => asked === answered || (asked >= 20 && asked - answered < 4 && random(2) === 0),
};

const LOSSES: Readonly<Record<string, (records: readonly TrafficRecord[], random: Random) => readonly TrafficRecord[]>> = {
  'three requests': (records, random) => run(records.filter(({ direction }) => direction === 'write'), 3, random),
  'a response': (records, random) => run(records.filter(({ direction }) => direction === 'read'), 1, random),
  'three responses': (records, random) => run(records.filter(({ direction }) => direction === 'read'), 3, random),
  'nine messages of both': (records, random) => run(records, 9, random),
  'one of twelve': (records, random) => records.filter(() => random(12) === 0),
};

function run(records: readonly TrafficRecord[], count: number, random: Random): readonly TrafficRecord[] {
  const first = random(3) === 0 ? 0 : random(records.length);
  return records.slice(first, first + count);
}

describe.each(Object.keys(CLIENTS))('a client that asks %s', (name) => {
  it.each(Object.keys(LOSSES))('%s lost: what is not proven says so', (lossName) => {
    let proven = 0;
    let inferred = 0;
    for (let seed = 1; seed <= 24; seed++) {
      const random = generator(seed);
      const records = talk(random, CLIENTS[name] as Client);
      const lost = new Set(LOSSES[lossName]?.(records, random));
      const first = records.findIndex((record) => lost.has(record));
      for (const one of exchangesOf(records.filter((record) => !lost.has(record)))) {
        const isPair = one['method'] !== 'UNKNOWN' && one['status'] !== null;
        expect(one['pairing'] !== null, `seed ${seed}`).toBe(isPair);
        if (!isPair) continue;
        if (one['pairing'] === 'proven') expect(isRightPair(one), `seed ${seed}: ${String(one['path'])}`).toBe(true);
        // Whole before anything was lost.
        const end = records.findLastIndex(({ bytes }) => bytes.includes(`X-Id: ${pathNumber(one)}\r`));
        if (first === -1 || end < first) expect(one['pairing'], `seed ${seed}: ${String(one['path'])}`).toBe('proven');
        if (one['pairing'] === 'proven') proven++;
        else inferred++;
      }
    }
    expect(proven).toBeGreaterThan(24);
    expect(inferred).toBeGreaterThan(name === 'one at a time' ? 240 : 0);
  });
});

/** The numbers of the requests of which a dropped record held bytes, or bytes of their replies. */
function touchedNumbers(records: readonly TrafficRecord[], dropped: ReadonlySet<TrafficRecord>): Set<number> {
  const touched = new Set<number>();
  const lanes = new Map<string, TrafficRecord[]>();
  for (const record of records) {
    const key = `${record.connection} ${record.direction}`;
    const lane = lanes.get(key) ?? [];
    lanes.set(key, lane);
    lane.push(record);
  }
  for (const lane of lanes.values()) {
    const lost = lane.filter((record) => dropped.has(record));
    if (lost.length === 0) continue;
    for (const { number, start, end } of messagesOf(Buffer.concat(lane.map(({ bytes }) => bytes)).toString('latin1'))) {
      if (lost.some(({ position, bytes }) => position < end && position + bytes.length > start)) touched.add(number);
    }
  }
  return touched;
}

/** No body of this traffic has in it what begins a message. */
function messagesOf(text: string): { number: number; start: number; end: number }[] {
  const starts = [...text.matchAll(/POST \/r\/|HTTP\/1\.1 200 OK/g)].map(({ index }) => index);
  return starts.map((start, i) => {
    const end = starts[i + 1] ?? text.length;
    return { number: Number(/^POST \/r\/(\d+)|^x-id: (\d+)/m.exec(text.slice(start, end))?.slice(1).find((digits) => digits !== undefined)), start, end };
  });
}
