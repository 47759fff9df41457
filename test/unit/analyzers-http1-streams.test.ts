/**
 * Streams of events over HTTP/1 in chunks, with records lost: each event that is told is one that was sent, by the exchange that it is
 * told of, and one lost chunk costs no more than itself and the event behind it.
 */
import { describe, expect, it } from 'vitest';
import type { Direction, TlsEvent } from '../../src/event.ts';
import { analyze, chunk, closing } from '../cases.ts';
import { type Random, generator } from '../helpers/random.ts';
import { expectEqualReplay } from '../helpers/replayed.ts';

type Derived = Readonly<Record<string, unknown>>;

interface Talk {
  readonly random: Random;
  readonly position: Record<Direction, number>;
  readonly records: TlsEvent[];
}

/** A call of the program, in records of any size. */
function call({ random, position, records }: Talk, direction: Direction, text: string, whole: boolean): void {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length;) {
    const size = whole ? bytes.length : Math.min(bytes.length - offset, 1 + random(60));
    records.push(chunk({ direction, bytes: bytes.subarray(offset, offset + size), position: position[direction] + offset, total: bytes.length, offset, timeMs: records.length }));
    offset += size;
  }
  position[direction] += bytes.length;
}

function inChunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** Every event names its exchange, its number and, in `event`, both again: one that is joined of two shows. */
function eventText(id: number, n: number, random: Random): string {
  return `event: e${id}.${n}\ndata: ${id}.${n}${' x'.repeat(random(8))}\n\n`;
}

const EXCHANGES = 5;

/** Streams, and now and then another answer; a chunk has an event, a part of one, or several. */
function streams(random: Random, whole: boolean): Talk {
  const talk: Talk = { random, position: { read: 0, write: 0 }, records: [] };
  for (let id = 0; id < EXCHANGES; id++) {
    call(talk, 'write', `POST /r/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`, whole);
    const head = `HTTP/1.1 200 OK\r\nX-Id: ${id}\r\nServer: ${'s'.repeat(random(9))}\r\n`;
    if (random(4) === 0) call(talk, 'read', `${head}Transfer-Encoding: chunked\r\n\r\n${inChunk(`id=${id};`)}0\r\n\r\n`, whole);
    else stream(talk, id, head, whole);
  }
  return talk;
}

function stream(talk: Talk, id: number, head: string, whole: boolean): void {
  const { random } = talk;
  call(talk, 'read', `${head}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n`, whole);
  for (let n = 0; n < 8; n++) {
    const text = eventText(id, n, random);
    const cut = random(3) === 0 ? random(text.length - 1) + 1 : text.length;
    call(talk, 'read', [text.slice(0, cut), text.slice(cut)].filter((part) => part !== '').map((part) => inChunk(part)).join(''), whole);
  }
  call(talk, 'read', random(2) === 0 ? '0\r\n\r\n' : '0\r\nX-End: 1\r\n\r\n', whole);
}

function withoutRun(records: readonly TlsEvent[], random: Random, most: number): TlsEvent[] {
  const from = random(records.length);
  const count = 1 + random(most);
  return records.filter((_, i) => i < from || i >= from + count);
}

/** Exchanges and events name one number each, and an event is whole. */
function expectRight(derived: readonly Derived[], where: string): void {
  const ids = new Map(derived.filter((one) => one['source'] === 'http').map((one) => [one['exchange'], (one['response_headers'] as Record<string, string[]>)['x-id']?.[0]]));
  for (const one of derived) {
    if (one['source'] !== 'sse') continue;
    const [id, n] = String(one['data']).split(' ')[0]?.split('.') ?? [];
    expect(one, where).toMatchObject({ event: `e${id}.${n}`, truncated: false });
    expect(ids.get(one['exchange']), where).toBe(id);
  }
  for (const one of derived) {
    if (one['source'] !== 'http' || one['method'] === 'UNKNOWN' || one['status'] === null) continue;
    expect((one['response_headers'] as Record<string, string[]>)['x-id'], `${where}: ${String(one['path'])}`).toEqual([String(one['path']).slice('/r/'.length)]);
    for (const [, id] of String(one['response_body']).matchAll(/^event: e(\d)\.\d\ndata/gm)) expect(`/r/${id}`, where).toBe(one['path']);
  }
}

const seeds = Array.from({ length: 300 }, (_, i) => i);

describe('streams of events in chunks', { timeout: 240_000 }, () => {
  it.each([1, 3, 8])('with up to %i records lost in a row: no event of another exchange, and none that was not sent', (most) => {
    let told = 0;
    for (const seed of seeds) {
      const random = generator(seed);
      const { records } = streams(random, seed % 2 === 0);
      const { derived } = analyze([...withoutRun(records, random, most), closing('c1', records.length)]);
      expectRight(derived, `seed ${seed}`);
      told += derived.filter((one) => one['source'] === 'sse').length;
    }
    expect(told).toBeGreaterThan(seeds.length * 15);
  });

  it('with one call of chunks lost go on', () => {
    for (const seed of seeds) {
      const random = generator(seed);
      const talk: Talk = { random, position: { read: 0, write: 0 }, records: [] };
      call(talk, 'write', 'GET /r/0 HTTP/1.1\r\nHost: a\r\n\r\n', true);
      stream(talk, 0, `HTTP/1.1 200 OK\r\nX-Id: 0\r\nServer: ${'s'.repeat(120)}\r\n`, true);
      // Not the last two: what ends a stream is told by what follows.
      const lost = 2 + random(5);
      const { derived } = analyze([...talk.records.filter((_, i) => i !== lost), closing('c1', 99)]);
      const numbers = derived.filter((one) => one['source'] === 'sse').map((one) => Number(String(one['event']).split('.')[1]));
      expect(numbers, `seed ${seed}`).toEqual([0, 1, 2, 3, 4, 5, 6, 7].filter((n) => n < lost - 2 || n > lost - 1));
      expect(derived.at(-1), `seed ${seed}`).toMatchObject({ source: 'http', path: '/r/0', state: 'partial', reason: expect.stringMatching(/^gap of/), sse_events: numbers.length });
    }
  });

  it('split anywhere give the same', () => {
    for (const seed of seeds.slice(0, 60)) {
      const random = generator(seed);
      const { records } = streams(random, true);
      const left = withoutRun(records, random, 4);
      const pieces = left.flatMap((one) => {
        if (one.data.event !== 'DATA') return [one];
        const { direction, position } = one.data;
        const payload = Buffer.from(one.data.payload);
        const cut = random(payload.length);
        return [[0, cut], [cut, payload.length]].filter(([start = 0, end = 0]) => end > start).map(([start = 0, end = 0]) => ({
          ...chunk({ direction, bytes: payload.subarray(start, end), position: position + start, total: payload.length, offset: start }), timestamp: one.timestamp,
        }));
      });
      expect(analyze(pieces).derived, `seed ${seed}`).toEqual(analyze(left).derived);
    }
  });

  it('replay from a masked capture to the same', () => {
    for (const seed of seeds.slice(0, 60)) {
      const random = generator(seed);
      const events = withoutRun(streams(random, false).records, random, 6);
      const locateSecrets = (_part: string, bytes: Buffer): { start: number; end: number }[] => Array.from(bytes.toString('latin1').matchAll(/\.5 x/g), ({ index }) => ({ start: index + 2, end: index + 4 }));
      expectEqualReplay(events, { locateSecrets, secret: '.5 x', where: `seed ${seed}` });
    }
  });
});
