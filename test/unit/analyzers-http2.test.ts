/** HTTP/2 on the operator: directions interleaved, gaps, and real traffic of Node's own implementation. */
import { describe, expect, it } from 'vitest';
import { createHttpCounters } from '../../analyzers/http.ts';
import type { Direction, TlsEvent } from '../../src/event.ts';
import { analyze, chunk, chunksOf, readCases, unescape } from '../cases.ts';
import { frame, framesOf } from '../frames.ts';
import { expectBeginning, randomlyCoded } from '../helpers/coded.ts';
import { interleaved, smallChunks } from '../helpers/interleave.ts';
import { generator, type Random } from '../helpers/random.ts';
import { recordHttp2 } from '../helpers/http2-traffic.ts';
import type { TrafficRecord as Recorded } from '../helpers/recorded-pair.ts';

const whole = () => [];
const cases = readCases('http2').filter(({ name }) => !name.includes('Upgraded'));
type Derived = Readonly<Record<string, unknown>>;

/** What an exchange says, apart from when. */
function essence(one: Derived): string {
  return JSON.stringify(['exchange', 'method', 'path', 'status', 'request_body', 'response_body', 'request_header_list', 'response_header_list', 'response_trailers']
    .map((name) => one[name]));
}

function exchanges(derived: readonly Derived[]): Derived[] {
  return derived.filter((one) => one['source'] === 'http');
}

describe('directions interleaved at random', { timeout: 240_000 }, () => {
  for (const one of cases.filter(({ name }) => (name.startsWith('messages') || name.startsWith('grpc')) && !isTunnel(name))) {
    it(`${one.name}: the same exchanges`, () => {
      const expected = exchanges(analyze(chunksOf(one.blocks, whole)).derived).map(essence).toSorted();
      for (let seed = 0; seed < 30; seed++) {
        const { derived } = analyze(interleaved(smallChunks(one), generator(seed)));
        expect(exchanges(derived).map(essence).toSorted(), `seed ${seed}`).toEqual(expected);
      }
    });
  }
});

/** What comes before the grant of a CONNECT is its body, and what comes after is not. */
function isTunnel(name: string): boolean {
  return name.includes('CONNECT');
}

describe('a gap anywhere', { timeout: 240_000 }, () => {
  // Without its reset, the late end of an answer is an end; and a length that lies proves a body whole of which all was lost.
  const isLost = /reset by the client|in the body of another/;
  for (const one of cases.filter(({ name }) => !isTunnel(name) && !isLost.test(name))) {
    it(`${one.name}: no exchange is wrong`, () => {
      const right = new Set(exchanges(analyze(chunksOf(one.blocks, whole)).derived).map((all) => essence(known(all))));
      for (let seed = 0; seed < 60; seed++) {
        const random = generator(seed);
        const parts = smallChunks(one);
        const from = random(parts.length);
        const dropped = new Set(Array.from({ length: 1 + random(6) }, (_, i) => parts[from + i]));
        for (const found of exchanges(analyze(parts.filter((event) => !dropped.has(event))).derived)) {
          if (found['state'] === 'complete') expect(right, `seed ${seed}`).toContain(essence(known(found)));
        }
      }
    });
  }

  /** Without fields that a lost table can make unknown. */
  function known(one: Derived): Derived {
    return { ...one, request_header_list: null, response_header_list: null };
  }
});

describe('a gap in coded bodies', { timeout: 240_000 }, () => {
  const STREAMS = 6;

  /** Streams with a coded answer each, their frames between each other; a chunk for every few bytes. */
  function traffic(random: Random): { readonly truths: readonly string[]; readonly parts: TlsEvent[] } {
    const truths = Array.from({ length: STREAMS }, (_, id) => `id=${id};${'some text, '.repeat(random(12))}${random(1e9)}`);
    const coded = truths.map((text) => randomlyCoded(random, text));
    const asked = truths.map((_, id) => `headers ${2 * id + 1} end\n  :method: GET\n  :path: /r/${id}\n`).join('');
    const bodies = coded.map(({ name, bytes }, id) => {
      const frames = [framesOf(`headers ${2 * id + 1}\n  :status: 200\n  x-id: ${id}\n  content-encoding: ${name}\n`, unescape)];
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(bytes.length, at + 1 + random(60));
        frames.push(frame(0, Number(end === bytes.length), 2 * id + 1, bytes.subarray(at, end)));
        at = end;
      }
      return frames;
    });
    const answers = [framesOf('settings\n', unescape)];
    for (let left = bodies; left.length > 0; left = left.filter(({ length }) => length > 0)) answers.push(left[random(left.length)]?.shift() ?? Buffer.alloc(0));
    const blocks = [
      { kind: 'write', bytes: framesOf(`preface\nsettings\n${asked}`, unescape), gap: 0, less: 0, at: null }, { kind: 'read', bytes: Buffer.concat(answers), gap: 0, less: 0, at: null },
    ] as const;
    return { truths, parts: chunksOf(blocks, (block, length) => (block === 0 ? [] : Array.from({ length: Math.floor((length - 1) / 20) }, (_, i) => (i + 1) * 20))) };
  }

  it('shows how a body begins, and never that it is complete', () => {
    let cut = 0;
    for (let seed = 0; seed < 300; seed++) {
      const random = generator(seed);
      const { truths, parts } = traffic(random);
      const from = 2 + random(parts.length - 2);
      const lost = new Set(parts.slice(from, from + random(4)));
      for (const one of exchanges(analyze(parts.filter((event) => !lost.has(event))).derived)) {
        const [id] = (one['response_headers'] as Record<string, string[]>)['x-id'] ?? [];
        if (id === undefined) continue;
        const where = `seed ${seed}`;
        const isCut = expectBeginning(one, 'response', { truth: truths[Number(id)] ?? '', where });
        if (lost.size === 0) expect(one, where).toMatchObject({ state: 'complete', path: `/r/${id}`, response_body: truths[Number(id)] });
        if (!isCut) continue;
        // Of the last bytes of all nobody knows that they are missing.
        expect(one['reason'], where).toMatch(/^(?:capture ended$|gap of \d+ bytes|coding: |bytes that are no HTTP\/2 frame)/);
        cut++;
      }
    }
    expect(cut).toBeGreaterThan(300);
  });
});

function events(records: readonly Recorded[]): TlsEvent[] {
  return records.map(({ connection, direction, bytes, position }, i) => chunk({ connection, direction, bytes, position, timeMs: i / 100 }));
}

function expectRightPair(one: Derived): void {
  const path = String(one['path']);
  const body = one['response_body'];
  const [id] = (one['response_headers'] as Record<string, string[]>)['x-id'] ?? [];
  if (path !== '' && id !== undefined) expect(`/r/${id}`).toBe(path);
  if (path !== '' && typeof body === 'string' && body.startsWith('id=')) expect(path).toBe(`/r/${/^id=(\d+);/.exec(body)?.[1]}`);
  const request = one['request_body'];
  if (path !== '' && typeof request === 'string' && request.startsWith('ask=')) expect(path).toBe(`/r/${/^ask=(\d+);/.exec(request)?.[1]}`);
}

describe("traffic of Node's HTTP/2", { timeout: 240_000 }, () => {
  it('10,000 requests over 100 connections give 10,000 right pairs, with and without lost records', async () => {
    const records = await recordHttp2({ connections: 100, requestsPerConnection: 100 });
    const counters = createHttpCounters();
    const found = exchanges(analyze(events(records), { counters }).derived);
    expect(found).toHaveLength(10_000);
    for (const one of found) {
      expect(one).toMatchObject({ state: 'complete', reason: null, unknown_fields: 0 });
      expectRightPair(one);
    }
    expect(new Set(found.map((one) => one['path'])).size).toBe(10_000);
    expect(counters.snapshot()).toMatchObject({ responses_unpaired: 0, hpack_errors: 0, resynchronised: 0, opaque_bytes: 0 });

    const random = generator(1);
    const dropped = records.filter(() => random(100) === 0);
    const touched = touchedExchanges(records, dropped);
    const left = exchanges(analyze(events(records.filter((record) => !dropped.includes(record)))).derived);
    for (const one of left) expectRightPair(one);
    const untouched = left.filter((one) => !touched.has(String(one['exchange'])));
    const complete = untouched.filter((one) => one['state'] === 'complete').length;
    expect(touched.size).toBeGreaterThan(20);
    expect(complete).toBeGreaterThan(0.95 * (10_000 - touched.size));
  });
});

/** The exchanges of which a dropped record held bytes, by the frames of the whole traffic. */
function touchedExchanges(records: readonly Recorded[], dropped: readonly Recorded[]): Set<string> {
  const touched = new Set<string>();
  const lanes = new Map<string, Recorded[]>();
  for (const record of records) {
    const key = `${record.connection} ${record.direction}`;
    lanes.set(key, [...lanes.get(key) ?? [], record]);
  }
  for (const [key, lane] of lanes) {
    const lost = dropped.filter((record) => `${record.connection} ${record.direction}` === key);
    if (lost.length === 0) continue;
    const bytes = Buffer.concat(lane.map((record) => record.bytes));
    for (let at = bytes[0] === 0x50 ? 24 : 0; at < bytes.length;) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      const stream = bytes.readUInt32BE(at + 5);
      if (lost.some(({ position, bytes: gone }) => position < end && position + gone.length > at)) touched.add(`${lane[0]?.connection}#${stream}`);
      at = end;
    }
  }
  return touched;
}

describe('a reset after the last byte of the body', () => {
  // As clients of Go send it, which do not wait for the end of a body that is as long as its head told.
  const write = ['preface\nsettings\nheaders 1 end\n  :method: GET\n  :path: /1\n', 'reset 1 5\n'].map((text) => framesOf(text, unescape));
  const read = framesOf('settings\nheaders 1\n  :status: 200\n  content-length: 5\ndata 1 | whole\n', unescape);
  const [asked = read, reset = read] = write;

  it('leaves the exchange complete', () => {
    const { derived } = analyze([
      chunk({ direction: 'write', bytes: asked, position: 0 }), chunk({ direction: 'read', bytes: read, position: 0 }),
      chunk({ direction: 'write', bytes: reset, position: asked.length }),
    ]);
    expect(exchanges(derived)).toMatchObject([{ state: 'complete', reason: null, response_body: 'whole' }]);
  });
});

describe('random frames', { timeout: 240_000 }, () => {
  const texts = cases.flatMap(({ blocks }) => blocks.map(({ kind, bytes }) => ({ kind, bytes }))).filter(({ kind }) => kind !== 'close');

  /** Zeros are what frames have most of. */
  function garbage(random: Random): Buffer {
    return Buffer.from(Array.from({ length: random(100) }, () => (random(4) === 0 ? 0 : random(256))));
  }

  function noise(seed: number): TlsEvent[] {
    const random = generator(seed);
    const next: Record<Direction, number> = { read: random(4) * 300, write: random(4) * 300 };
    return Array.from({ length: 2 + random(8) }, (_, i) => {
      const { kind, bytes } = texts[random(texts.length)] as (typeof texts)[number];
      const direction: Direction = random(8) === 0 ? 'read' : kind as Direction;
      const copy = random(10) === 0 ? garbage(random) : Buffer.from(bytes.subarray(random(4) === 0 ? random(bytes.length) : 0));
      for (let flips = random(4); flips > 0 && copy.length > 0; flips--) copy[random(copy.length)] = random(256);
      const position = next[direction] + (random(6) === 0 ? random(40) : 0);
      next[direction] = position + copy.length;
      return chunk({ direction, bytes: copy, position, timeMs: i });
    }).filter(({ data }) => data.event === 'DATA' && data.len > 0);
  }

  const locateSecrets = (_part: string, bytes: Buffer) => [...bytes.toString('latin1').matchAll(/secret-[a-z]+/g)]
    .map(({ index, 0: text }) => ({ start: index, end: index + text.length }));

  it('never throw, and a masked capture of them replays to the same events', () => {
    for (let seed = 0; seed < 1000; seed++) {
      const input = noise(seed);
      const live = analyze(input, { locateSecrets });
      const raw = analyze(input, { locateSecrets, raw: true });
      expect(raw.chunks, `seed ${seed}`).toHaveLength(input.length);
      expect(raw.derived, `seed ${seed}`).toEqual(live.derived);
      expect(analyze(raw.chunks, { locateSecrets }).derived, `seed ${seed}`).toEqual(live.derived);
      expect(JSON.stringify(live.derived), `seed ${seed}`).not.toMatch(/secret-[a-z]/);
    }
  });
});
