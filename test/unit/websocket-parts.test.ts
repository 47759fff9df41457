/** Messages of WebSockets over the limit, in a raw capture that is masked: their rest is told in parts, and is joined to them by their number. */
import { constants, deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { from } from 'rxjs';
import { select } from '../../analyzers/filter.ts';
import { type HttpLimits, createHttpCounters } from '../../analyzers/http.ts';
import { locateSecrets } from '../../analyzers/redact.ts';
import { toLine } from '../../src/event-json.ts';
import { parseLine } from '../../src/event-parse.ts';
import type { BodyEvent, Direction, Event, Source, WebsocketEvent } from '../../src/event.ts';
import { describe as sentenceOf } from '../../src/sinks/describe.ts';
import { analyze, chunk, closing, unescape } from '../cases.ts';
import { frame, framesOf } from '../frames.ts';
import { type Random, generator } from '../helpers/random.ts';
import { frameOf } from '../messages.ts';

const KEY = 'sk-ant-api03-AbCdEfGhIjKlMnOp';
/** Of a key that the limit cuts, so many characters are not known to be one. */
const FIRST_CHARACTERS = 11;
const LIMITS: Partial<HttpLimits> = { httpBodyBytes: 90, bodyPartBytes: 60, bodyPartBytesTotal: 1000 };
const MASK = Buffer.from([0xde, 0xad, 0xbe, 0xef]);

type Bytes = Readonly<Record<Direction, Buffer>>;
/** What comes before the first frame, and how frames go. */
interface Transport {
  readonly start: Bytes;
  wrap(bytes: Buffer, direction: Direction): Buffer;
}

const DEFLATE = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const TRANSPORTS: Readonly<Record<'http1' | 'http2', Transport>> = {
  http1: {
    start: {
      write: Buffer.from('GET /live HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\r\n'),
      read: Buffer.from(`HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: ${DEFLATE}\r\n\r\n`),
    },
    wrap: (bytes) => bytes,
  },
  http2: {
    start: {
      write: framesOf('preface\nsettings\nheaders 1\n  :method: CONNECT\n  :protocol: websocket\n  :scheme: https\n  :path: /live\n  :authority: a.example\n', unescape),
      read: framesOf(`settings\nheaders 1\n  :status: 200\n  sec-websocket-extensions: ${DEFLATE}\n`, unescape),
    },
    wrap: (bytes) => frame(0, 0, 1, bytes),
  },
};

interface Message {
  readonly direction: Direction;
  readonly bytes: Buffer;
  readonly isBinary: boolean;
  readonly isCompressed: boolean;
}

function deflate(bytes: Buffer): Buffer {
  return deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** Frames of a message; a ping may come in between. */
function framesOfMessage({ direction, bytes, isBinary, isCompressed }: Message, random: Random): Buffer {
  const key = direction === 'write' ? MASK : null;
  const payload = isCompressed ? deflate(bytes) : bytes;
  const fragments = 1 + random(3);
  const size = Math.ceil(payload.length / fragments);
  return Buffer.concat(Array.from({ length: fragments }, (_, i) => {
    const first = (i === 0 ? (isBinary ? 2 : 1) | (isCompressed ? 0x40 : 0) : 0) | (i === fragments - 1 ? 0x80 : 0);
    const ping = random(3) === 0 ? [frameOf(0x89, Buffer.from('here'), { key })] : [];
    return Buffer.concat([...(i === 0 ? [] : ping), frameOf(first, payload.subarray(i * size, (i + 1) * size), { key })]);
  }));
}

interface Sent {
  readonly events: readonly Event[];
  readonly messages: readonly Message[];
}

function send(messages: readonly Message[], { start, wrap }: Transport, random: Random, chunkBytes: () => number): Sent {
  const ends: Record<Direction, number> = { read: 0, write: 0 };
  const events: Event[] = [];
  function add(direction: Direction, bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + chunkBytes());
      events.push(chunk({ direction, bytes: part, position: ends[direction], timeMs: events.length / 100 }));
      ends[direction] += part.length;
      at += part.length;
    }
  }
  add('write', start.write);
  add('read', start.read);
  const streams: Record<Direction, Buffer> = { read: Buffer.alloc(0), write: Buffer.alloc(0) };
  for (const message of messages) streams[message.direction] = Buffer.concat([streams[message.direction], framesOfMessage(message, random)]);
  // Both talk at once.
  for (const at: Record<Direction, number> = { read: 0, write: 0 }; at.read < streams.read.length || at.write < streams.write.length;) {
    const direction = random(2) === 0 ? 'read' : 'write';
    const bytes = streams[direction].subarray(at[direction], at[direction] + 1 + random(200));
    at[direction] += bytes.length;
    if (bytes.length > 0) add(direction, wrap(bytes, direction));
  }
  return { events: [...events, closing('c1', events.length / 100)], messages };
}

function run(events: readonly Event[], options: Parameters<typeof analyze>[1] = {}) {
  const counters = createHttpCounters();
  const { order, chunks, derived } = analyze(events, { raw: true, locateSecrets, counters, limits: LIMITS, ...options });
  const told = order.filter((event): event is WebsocketEvent => event.source === 'websocket').map(({ data }) => data);
  const parts = order.filter((event): event is BodyEvent => event.source === 'body').map(({ data }) => data);
  return { told, parts, counters, chunks, derived };
}

/** Its kept bytes and its parts, which must be in order and begin where the last ended. */
function assembled(message: WebsocketEvent['data'], parts: readonly BodyEvent['data'][], client: Direction = 'write'): Buffer {
  const pieces = [Buffer.from(message.body ?? '', message.body_encoding)];
  let end = pieces[0]?.length ?? 0;
  for (const part of parts.filter(({ index }) => index === message.index)) {
    const bytes = Buffer.from(part.body, part.body_encoding);
    expect([part.offset, part.bytes, part.exchange, part.url]).toEqual([end, bytes.length, message.exchange, message.url]);
    expect(part.side).toBe(message.direction === client ? 'request' : 'response');
    pieces.push(bytes);
    end += bytes.length;
  }
  return Buffer.concat(pieces);
}

function expectMasked(shown: Buffer, plain: Buffer, where: string): void {
  expect(shown, where).toHaveLength(plain.length);
  const masked = Buffer.from(plain);
  for (const { start, end } of locateSecrets('body', plain)) masked.fill('*', start, end);
  const different = [...masked.keys()].filter((at) => shown[at] !== masked[at]);
  expect(different.every((at) => shown[at] === plain[at] && at >= 90 - FIRST_CHARACTERS && at < 90), `${where}: ${different.join()}`).toBe(true);
}

function someMessage(random: Random): Message {
  const words = ['word ', 'é', '{"a":1}', '\n', `key=${KEY} `, `"token":"hunter2hunter2"`, KEY, ' '];
  const text = Buffer.from(Array.from({ length: random(90) }, () => words[random(words.length)]).join(''));
  const isBinary = random(3) === 0;
  return {
    direction: random(2) === 0 ? 'read' : 'write', isBinary, isCompressed: random(2) === 0,
    // Bytes that are no text, none of them a line end or of a character in two.
    bytes: isBinary ? Buffer.concat([text, Buffer.of(0xff, 0x00, 0xfe), text]) : text,
  };
}

describe('messages of every kind, cut anywhere', () => {
  test.each(['http1', 'http2'] as const)('over %s are whole but for their secrets, and a replay says the same', (name) => {
    let long = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const random = generator(seed);
      const sent = send(Array.from({ length: 1 + random(5) }, () => someMessage(random)), TRANSPORTS[name], random, seed % 10 === 0 ? () => 1 : () => 1 + random(70));
      const { told, parts, chunks, derived, counters } = run(sent.events);
      const texts = told.filter(({ opcode }) => opcode === 'text' || opcode === 'binary');
      for (const direction of ['read', 'write'] as const) {
        const ours = texts.filter((message) => message.direction === direction);
        const theirs = sent.messages.filter((message) => message.direction === direction);
        expect(ours, `seed ${seed}`).toHaveLength(theirs.length);
        for (const [i, message] of ours.entries()) {
          expect([message.state, message.truncated], `seed ${message.reason} ${seed}`).toEqual(['complete', (theirs[i]?.bytes.length ?? 0) > 90]);
          expectMasked(assembled(message, parts), theirs[i]?.bytes ?? Buffer.alloc(0), `seed ${seed}, ${direction} ${i}`);
        }
      }
      long += texts.filter(({ truncated }) => truncated).length;
      expect(told.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual([...told.keys()]);
      expect(new Set(parts.map(({ index }) => index)), `seed ${seed}`).toEqual(new Set(told.filter(({ truncated }) => truncated).map(({ index }) => index)));
      expect(JSON.stringify([told, parts])).not.toContain(KEY);
      expect(counters.get('body_parts_full')).toBe(0);
      // What is told does not depend on whether all is asked for.
      expect(run(sent.events, { raw: false }).derived, `seed ${seed}`).toEqual(derived);
      if (sent.messages.some(({ isCompressed }) => isCompressed)) continue;
      const file = chunks.map((event) => parseLine(toLine(event)) as Event);
      const replayed = run(file, { isReplay: true });
      expect(replayed.derived.map((one) => ({ ...one, secrets: null })), `seed ${seed}`).toEqual(derived.map((one) => ({ ...one, secrets: null })));
      expect(replayed.parts).toEqual([]);
    }
    expect(long).toBeGreaterThan(100);
  });
});

describe('parts', () => {
  const message: Message = { direction: 'write', bytes: Buffer.from('x'.repeat(1000)), isBinary: false, isCompressed: false };
  /** Three fragments, and nothing else. */
  const { events } = send([message], TRANSPORTS.http1, (count) => count - 1, () => 50);

  test('are told where every byte is asked for and chunks are left out, and in no other case', () => {
    const partsOf = (options: Parameters<typeof analyze>[1]): number => run(events, options).parts.length;
    expect(partsOf({})).toBeGreaterThan(1);
    expect(partsOf({ raw: false })).toBe(0);
    expect(partsOf({ locateSecrets: undefined, keepOpaque: true })).toBe(0);
    expect(partsOf({ isReplay: true })).toBe(0);
    // What fits is in the message alone.
    expect(partsOf({ limits: {} })).toBe(0);
  });

  test('of too many messages at once are refused, and counted; and their memory is given back', () => {
    const { events: both } = send([message, message, { ...message, direction: 'read' }], TRANSPORTS.http1, generator(4), () => 50);
    const refused = run(both, { limits: { ...LIMITS, bodyPartBytesTotal: 119 } });
    expect([refused.parts.length, refused.counters.get('body_parts_full'), refused.told.filter(({ truncated }) => truncated).length]).toEqual([0, 3, 3]);
    // Room for one of each direction: the second of the client finds that of the first.
    const { parts, counters } = run(both, { limits: { ...LIMITS, bodyPartBytesTotal: 240 } });
    expect([new Set(parts.map(({ index }) => index)).size, counters.get('body_parts_full')]).toEqual([3, 0]);
  });

  test('come with what they are the rest of, and say which message that is', () => {
    const { order } = analyze(events, { raw: true, locateSecrets, limits: LIMITS });
    const bodies = (sources: readonly Source[]): BodyEvent[] => {
      const passed: BodyEvent[] = [];
      from(order).pipe(select({ sources, raw: true })).subscribe((event) => {
        if (event.source === 'body') passed.push(event);
      });
      return passed;
    };
    expect(bodies(['http', 'tls'])).toEqual([]);
    const [first] = bodies(['websocket']);
    expect(first === undefined ? '' : sentenceOf(first)).toMatch(/^request #0 of https:\/\/a\.example\/live from byte 90 "x+/);
  });

  test('after a gap go on at their place', () => {
    const { told, parts } = run(events.filter((_, index) => index !== 10));
    const ends = parts.map(({ offset, bytes }) => offset + bytes);
    const jumps = parts.slice(1).map(({ offset }, i) => offset - (ends[i] ?? 0)).filter((jump) => jump !== 0);
    expect([jumps, ends.at(-1), told[0]?.state]).toEqual([[50], 1000, 'partial']);
  });

  test('of a message that never ends are told up to there', () => {
    const { told, parts } = run([...events.slice(0, -4), closing()]);
    expect(told).toMatchObject([{ state: 'aborted', truncated: true, index: 0 }]);
    expect(assembled(told[0] as WebsocketEvent['data'], parts)).toHaveLength(told[0]?.bytes ?? 0);
  });
});
