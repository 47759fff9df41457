/** The cases of HTTP/1, event streams, codings and WebSockets in other orders of the two directions, and with a loss anywhere. */
import { describe, expect, it } from 'vitest';
import type { TlsEvent } from '../../src/event.ts';
import { type Case, analyze, chunk, chunksOf, readCases } from '../cases.ts';
import { essence, interleavedAnswers, smallChunks, withGap } from '../helpers/interleave.ts';
import { generator } from '../helpers/random.ts';

type Derived = Readonly<Record<string, unknown>>;

const FOLDERS = ['http', 'coding', 'sse', 'websocket'];

function wholeOf({ blocks, options }: Case): readonly Derived[] {
  return analyze(chunksOf(blocks, () => []), options).derived;
}

/** Nothing is lost in it, and every exchange and message ends well. */
function isOrderly(one: Case, told: readonly Derived[]): boolean {
  return one.blocks.every(({ gap, at }) => gap === 0 && at === null) && told.length > 0 && told.every(({ state }) => state === undefined || state === 'complete');
}

describe.each(FOLDERS)('%s, its directions interleaved at random', (folder) => {
  for (const one of readCases(folder)) {
    const told = wholeOf(one);
    // A client that does not send a body has had the answer when it sends what follows.
    if (!isOrderly(one, told) || told.some(({ flags }) => Array.isArray(flags) && flags.includes('request.body-not-sent'))) continue;
    it(one.name, () => {
      const expected = told.map((all) => essence(all)).toSorted();
      for (let seed = 0; seed < 10; seed++) {
        const { derived } = analyze(interleavedAnswers(smallChunks(one), generator(seed), told.some(({ status }) => status === 101)), one.options);
        expect(derived.map((all) => essence(all)).toSorted(), `seed ${seed}`).toEqual(expected);
      }
    });
  }
});

/**
 * Why nothing can follow on the connection: it carries another protocol from then on, or its end is that of a response. Whether a body is
 * sent after `Expect` only the answer tells, which may be lost.
 * After a loss nothing tells the requests of a client that pipelines from each other (`analyzers/http/pairing.ts`).
 */
function whyLast({ blocks }: Case, told: readonly Derived[]): string | null {
  if (told.some(({ source }) => source === 'websocket')) return 'another protocol';
  const exchanges = told.filter(({ source }) => source === 'http');
  if (exchanges.some(({ status, method }) => status === 101 || (method === 'CONNECT' && Number(status) < 300))) return 'another protocol';
  if (!exchanges.every(isFramed)) return 'ends with its response';
  if (exchanges.some(({ request_headers: headers }) => Object.keys(headers as object).includes('expect'))) return 'a body that may not be sent';
  const asks = exchanges[0]?.['role'] === 'server' ? 'read' : 'write';
  return blocks.some(({ kind, bytes }, i) => kind === asks && (blocks[i + 1]?.kind === asks || bytes.toString('latin1').split(' HTTP/1.1\r\n').length > 2)) ? 'pipelines' : null;
}

function isFramed({ method, status, response_headers: headers }: Derived): boolean {
  const { 'content-length': length, 'transfer-encoding': codings } = headers as Readonly<Record<string, readonly string[]>>;
  return method === 'HEAD' || status === 204 || status === 304 || length !== undefined || codings?.at(-1)?.endsWith('chunked') === true;
}

/** Two more exchanges behind all of the case. After a loss the first may not be paired. */
function following(one: Case, told: readonly Derived[]): TlsEvent[] {
  const all = smallChunks(one);
  const isServer = told.some(({ role }) => role === 'server');
  const position = { read: 0, write: 0 };
  for (const { data } of all) if (data.event === 'DATA') position[data.direction] = data.position + data.len;
  return [1, 2].flatMap((n) => [`GET /after/${n} HTTP/1.1\r\nHost: a\r\n\r\n`, `HTTP/1.1 200 OK\r\nX-After: ${n}\r\nContent-Length: 2\r\n\r\nok`].map((text, i) => {
    const direction = (i === 0) === isServer ? 'read' : 'write';
    const bytes = Buffer.from(text);
    const event = chunk({ direction, bytes, position: position[direction], timeMs: 10_000 + 20 * n + 10 * i });
    position[direction] += bytes.length;
    return event;
  }));
}

/** That an event has no state says nothing: it is told as whole. */
function isToldWhole({ state, truncated }: Derived): boolean {
  return state === 'complete' || (state === undefined && truncated !== true);
}

describe.each(FOLDERS)('%s, a gap anywhere', (folder) => {
  for (const one of readCases(folder)) {
    const told = wholeOf(one);
    if (!isOrderly(one, told)) continue;
    const why = whyLast(one, told);
    it(`${one.name}: what is told is right, ${why === null ? 'and what follows is read' : `nothing can follow (${why})`}`, () => {
      const after = why === null ? following(one, told) : [];
      const open = smallChunks(one).filter(({ data }) => why !== null || data.event === 'DATA');
      const right = new Set(told.map((all) => essence(all)));
      for (let seed = 0; seed < 20; seed++) {
        const { derived } = analyze([...withGap(open, generator(seed)), ...after], one.options);
        for (const found of derived) {
          if (isToldWhole(found) && !String(found['path']).startsWith('/after/')) expect(right, `seed ${seed}`).toContain(essence(found));
        }
        if (why === null) expect(derived.at(-1), `seed ${seed}`).toMatchObject({ path: '/after/2', state: 'complete', response_headers: { 'x-after': ['2'] } });
      }
    });
  }
});
