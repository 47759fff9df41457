/** Bodies of gRPC over the limit, in a raw capture that is masked: whole in parts, with what is compressed in them masked. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type HttpLimits, createHttpCounters } from '../../analyzers/http.ts';
import { locateSecrets } from '../../analyzers/redact.ts';
import type { BodyEvent, Event, HttpEvent } from '../../src/event.ts';
import { analyze, chunk, closing, unescape } from '../cases.ts';
import { frame, framesOf } from '../frames.ts';
import { type Answered, answeredIn } from '../helpers/answered.ts';
import { type Random, generator } from '../helpers/random.ts';

const KEY = 'sk-ant-api03-AbCdEfGhIjKlMnOp';
/** Of a key that the limit cuts, so many characters are not known to be one. */
const FIRST_CHARACTERS = 11;
const KEPT_BYTES = 90;
const LIMITS: Partial<HttpLimits> = { httpBodyBytes: KEPT_BYTES, bodyPartBytes: 60, bodyPartBytesTotal: 1000 };
const ASKED = { http1: Buffer.from('GET /a.B/C HTTP/1.1\r\nHost: a\r\n\r\n'), http2: framesOf('preface\nsettings\nheaders 1 end\n  :method: GET\n  :path: /a.B/C\n', unescape) };
const DATA_BYTES = 64;

function overHttp1(body: Buffer, type: string, coding = 'identity'): Answered {
  return {
    asked: ASKED.http1,
    answer: Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`), body]),
  };
}

function overHttp2(body: Buffer, type: string | null): Answered {
  return {
    asked: ASKED.http2,
    answer: Buffer.concat([
      framesOf(`settings\nheaders 1\n  :status: 200\n${type === null ? '' : `  content-type: ${type}\n`}`, unescape),
      ...Array.from({ length: Math.ceil(body.length / DATA_BYTES) }, (_, i) => frame(0, 0, 1, body.subarray(i * DATA_BYTES, (i + 1) * DATA_BYTES))),
      frame(0, 1, 1, Buffer.alloc(0)),
    ]),
  };
}

const TRANSPORTS: readonly (readonly [name: string, sent: (body: Buffer) => Answered])[] = [
  ['gRPC', (body) => overHttp2(body, 'application/grpc')],
  ['gRPC of which the type is not told', (body) => overHttp2(body, null)],
  ['gRPC-Web', (body) => overHttp1(body, 'application/grpc-web+proto')],
  ['gRPC-Web in base64', (body) => overHttp1(Buffer.from(body.toString('base64')), 'application/grpc-web-text')],
  ['gRPC-Web in gzip', (body) => overHttp1(gzipSync(body), 'application/grpc-web', 'gzip')],
];

function run(events: readonly Event[], options: Parameters<typeof analyze>[1] = {}) {
  const counters = createHttpCounters();
  const { order, derived, chunks } = analyze(events, { raw: true, locateSecrets, counters, limits: LIMITS, ...options });
  const [exchange] = order.filter((event): event is HttpEvent => event.source === 'http').map(({ data }) => data);
  if (exchange === undefined) throw new Error('no exchange was told');
  const parts = order.filter((event): event is BodyEvent => event.source === 'body').map(({ data }) => data);
  const bytes = Buffer.concat([
    Buffer.from(exchange.response_body ?? '', exchange.response_body_encoding), ...parts.map((part) => Buffer.from(part.body, part.body_encoding)),
  ]);
  return { exchange, parts, bytes, counters, derived, chunks, order };
}

interface Body {
  readonly bytes: Buffer;
  /** With what is compressed masked, and the secrets of the rest. */
  readonly masked: Buffer;
  readonly compressed: number;
}

function messageOf(content: Buffer, flags: number): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(content.length, 1);
  return Buffer.concat([prefix, content]);
}

function bodyOf(messages: readonly { readonly content: Buffer; readonly isCompressed: boolean }[]): Body {
  const bytes = Buffer.concat(messages.map(({ content, isCompressed }) => messageOf(content, Number(isCompressed))));
  const masked = Buffer.concat(messages.map(({ content, isCompressed }) => {
    const message = messageOf(content, Number(isCompressed));
    return isCompressed ? message.fill('*', 5) : message;
  }));
  for (const { start, end } of locateSecrets('body', masked)) masked.fill('*', start, end);
  return { bytes, masked, compressed: messages.filter(({ content, isCompressed }) => isCompressed && content.length > 0).length };
}

function someBody(random: Random): Body {
  const words = ['word ', 'é', '\n', `key=${KEY} `, `"token":"hunter2hunter2"`, KEY, ' ', '\0\u0001'];
  return bodyOf(Array.from({ length: 3 + random(8) }, () => {
    // A space first: the last byte of the prefix may be a letter, and then what follows no word of its own.
    const text = Buffer.from(` ${Array.from({ length: random(20) }, () => words[random(words.length)]).join('')}\n`);
    const isCompressed = random(3) === 0;
    return { content: random(8) === 0 ? Buffer.alloc(0) : isCompressed ? gzipSync(text) : text, isCompressed };
  }));
}

describe('messages of every kind, cut anywhere', () => {
  test.each(TRANSPORTS)('%s: prefixes and plain messages stay, what is compressed is masked', (_name, sentOf) => {
    let long = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const random = generator(seed);
      const { bytes, masked, compressed } = someBody(random);
      const told = run(answeredIn(sentOf(bytes), seed % 10 === 0 ? () => 1 : () => 1 + random(70)));
      expect(told.exchange.state, `seed ${seed}`).toBe('complete');
      expect(told.bytes, `seed ${seed}`).toHaveLength(bytes.length);
      const different = [...masked.keys()].filter((at) => told.bytes[at] !== masked[at]);
      expect(different.every((at) => told.bytes[at] === bytes[at] && at >= KEPT_BYTES - FIRST_CHARACTERS && at < KEPT_BYTES), `seed ${seed}: ${different.join()}`).toBe(true);
      expect(told.bytes.includes(KEY)).toBe(false);
      expect([told.counters.get('body_parts_unsure'), told.counters.get('grpc_compressed')], `seed ${seed}`).toEqual([0, compressed]);
      if (told.parts.length > 0) long++;
    }
    expect(long).toBeGreaterThan(30);
  });
});

describe('a long body', () => {
  const plain = Buffer.from('plain '.repeat(60));
  const hidden = gzipSync(Buffer.from(`${KEY} and much more of it `.repeat(20)));
  const body = bodyOf([{ content: plain, isCompressed: false }, { content: hidden, isCompressed: true }, { content: plain, isCompressed: false }]);
  const head = overHttp1(body.bytes, 'application/grpc-web').answer.length - body.bytes.length;
  /** All but the bytes from here to there of the body. */
  const without = (from: number, to: number): readonly Event[] => {
    const { asked, answer } = overHttp1(body.bytes, 'application/grpc-web');
    return [
      chunk({ direction: 'write', bytes: asked, position: 0 }), chunk({ direction: 'read', bytes: answer.subarray(0, head + from), position: 0 }),
      chunk({ direction: 'read', bytes: answer.subarray(head + to), position: head + to, timeMs: 1 }), closing('c1', 1000),
    ];
  };

  test('after a gap inside of a message goes on at its place, and knows what is compressed', () => {
    for (const from of [200, plain.length + 15]) {
      const { parts, counters, exchange } = run(without(from, from + 30));
      const last = parts.at(-1);
      expect([exchange.state, (last?.offset ?? 0) + (last?.bytes ?? 0), counters.get('body_parts_unsure')]).toEqual(['partial', body.bytes.length, 0]);
      for (const part of parts) {
        const bytes = Buffer.from(part.body, part.body_encoding);
        expect(bytes.equals(body.masked.subarray(part.offset, part.offset + part.bytes)), `from ${from}, at ${part.offset}`).toBe(true);
      }
    }
  });

  test('after a gap over a prefix is not told any further, which is counted', () => {
    const { parts, counters } = run(without(plain.length - 20, plain.length + 20));
    const last = parts.at(-1);
    expect([(last?.offset ?? 0) + (last?.bytes ?? 0), counters.get('body_parts_unsure')]).toEqual([plain.length - 20, 1]);
  });

  test('of HTTP/2 is not told any further after a gap over frames', () => {
    const events = answeredIn(overHttp2(body.bytes, 'application/grpc'), () => 40).filter((_, index) => index !== 8);
    const { parts, counters, exchange } = run(events);
    const last = parts.at(-1);
    const end = (last?.offset ?? 0) + (last?.bytes ?? 0);
    expect([exchange.state, counters.get('body_parts_unsure'), end > KEPT_BYTES && end < plain.length]).toEqual(['partial', 1, true]);
  });

  test('of which bytes are missing before the limit is not told in parts', () => {
    const { parts, counters } = run(without(20, 30));
    expect([parts.length, counters.get('body_parts_unsure')]).toEqual([0, 1]);
  });

  test('beside too many others is refused, and counted', () => {
    const { parts, counters } = run(answeredIn(overHttp2(body.bytes, 'application/grpc'), () => 40), { limits: { ...LIMITS, bodyPartBytesTotal: 119 } });
    expect([parts.length, counters.get('body_parts_full'), counters.get('body_parts_unsure')]).toEqual([0, 1, 0]);
  });

  test('replays to what the live run told', () => {
    const { derived, chunks } = run(answeredIn(overHttp2(body.bytes, 'application/grpc'), () => 40));
    const replayed = run(chunks, { isReplay: true });
    expect(replayed.derived).toEqual(derived);
    expect(replayed.parts).toEqual([]);
    const written = Buffer.concat(chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : [])));
    expect([written.includes(plain.subarray(0, 40)), written.includes(hidden.subarray(0, 20))]).toEqual([true, false]);
  });
});
