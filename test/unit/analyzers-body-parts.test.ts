/** Bodies over the limit in a raw capture that is masked: whole on disk, coded or not, with no secret in them. */
import { readFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { of } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { createHttpCounters, type HttpLimits } from '../../analyzers/http.ts';
import { locateSecrets } from '../../analyzers/redact.ts';
import { parseLine } from '../../src/event-parse.ts';
import { type BodyEvent, type Event, type HttpEvent, SOURCES } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { runPipeline } from '../../src/pipeline.ts';
import { createJsonlSink } from '../../src/sinks/jsonl.ts';
import { analyze, unescape } from '../cases.ts';
import { frame, framesOf } from '../frames.ts';
import { type Answered, answeredIn } from '../helpers/answered.ts';
import { tempDir } from '../helpers/files.ts';
import { type Random, generator } from '../helpers/random.ts';

const KEY = 'sk-ant-api03-AbCdEfGhIjKlMnOp';
const STARS = '*'.repeat(KEY.length);
const TYPE = 'content-type: application/json';
const DATA_FRAME_BYTES = 16 * 1024;

type Coding = 'identity' | 'gzip' | 'br';

/** What a client reads, of one request. */
type Transport = (body: Buffer, coding: Coding) => Answered;

const http1: Transport = (body, coding) => ({
  asked: Buffer.from('GET /long HTTP/1.1\r\nHost: a\r\n\r\n'),
  answer: Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${TYPE}\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`), body]),
});

const http2: Transport = (body, coding) => ({
  asked: framesOf('preface\nsettings\nheaders 1 end\n  :method: GET\n  :path: /long\n', unescape),
  answer: Buffer.concat([
    framesOf(`settings\nheaders 1\n  :status: 200\n  ${TYPE}\n  content-encoding: ${coding}\n`, unescape),
    ...Array.from({ length: Math.ceil(body.length / DATA_FRAME_BYTES) }, (_, i) => frame(0, 0, 1, body.subarray(i * DATA_FRAME_BYTES, (i + 1) * DATA_FRAME_BYTES))),
    frame(0, 1, 1, Buffer.alloc(0)),
  ]),
});

function encode(text: Buffer, coding: Coding): Buffer {
  if (coding === 'identity') return text;
  return coding === 'gzip' ? gzipSync(text, { level: 1 }) : brotliCompressSync(text, { params: { 1: 1 } });
}

/** The kept bytes of the response and its parts, in order. */
function assembled(events: readonly Event[]): { readonly text: string; readonly exchange: HttpEvent; readonly parts: readonly BodyEvent[] } {
  const [exchange] = events.filter((event): event is HttpEvent => event.source === 'http');
  if (exchange === undefined) throw new Error('no exchange was told');
  const parts = events.filter((event): event is BodyEvent => event.source === 'body');
  const pieces = [Buffer.from(exchange.data.response_body ?? '', exchange.data.response_body_encoding)];
  let end = pieces[0]?.length ?? 0;
  for (const { data } of parts) {
    const bytes = Buffer.from(data.body, data.body_encoding);
    expect([data.offset, data.bytes, data.side, data.exchange]).toEqual([end, bytes.length, 'response', exchange.data.exchange]);
    pieces.push(bytes);
    end += bytes.length;
  }
  return { text: Buffer.concat(pieces).toString(), exchange, parts };
}

describe('11 MB of lines with secrets in them', { timeout: 240_000 }, () => {
  const line = (i: number): string => `{"line":${i},"text":"some words é ${i * 7919 % 10_007}"${i % 50 === 0 ? `,"api_key":"${KEY}"` : ''}}\n`;
  const text = Array.from({ length: 250_000 }, (_, i) => line(i)).join('');

  test.each([['gzip', http1], ['gzip', http2], ['identity', http1]] as const)('in %s: the whole is on disk (%#)', async (coding, transport) => {
    expect(Buffer.byteLength(text)).toBeGreaterThan(1.2 * LIMITS.httpBodyBytes);
    const dir = tempDir();
    try {
      const path = dir.file('out.jsonl');
      let ids = 0;
      const events = answeredIn(transport(encode(Buffer.from(text), coding), coding), () => 16 * 1024);
      await runPipeline({
        runner: { batches: of(events), stop: () => Promise.resolve(), stats: () => [] },
        sinks: [createJsonlSink({ path, queuedBytes: 1 << 30, onNotice: (notice) => expect.unreachable(notice) })], nextId: () => `e${ids++}`, sources: SOURCES, raw: true, redact: true,
      }).done;
      const content = readFileSync(path, 'utf8');
      expect(content.includes(KEY)).toBe(false);
      const told = assembled(content.trimEnd().split('\n').map(parseLine));
      expect(told.exchange.data).toMatchObject({ state: 'complete', response_body_truncated: true });
      expect(coding === 'identity' ? told.exchange.data.response_body_bytes : told.exchange.data.response_decoded_bytes).toBe(Buffer.byteLength(text));
      // Compared as a whole: a difference of 11 MB is nothing to print.
      expect(told.text === text.replaceAll(KEY, STARS)).toBe(true);
      expect(Math.max(...told.parts.map(({ data }) => data.bytes))).toBeLessThanOrEqual(LIMITS.bodyPartBytes);
      expect(told.parts.every(({ data }) => data.redacted > 0 && (data.secrets?.length ?? 0) === 1)).toBe(true);
    } finally {
      dir.remove();
    }
  });
});

const SMALL: Partial<HttpLimits> = { httpBodyBytes: 90, bodyPartBytes: 60, bodyPartBytesTotal: 1000 };

function run(events: readonly Event[], options: Parameters<typeof analyze>[1] = {}) {
  const counters = createHttpCounters();
  const { order } = analyze(events, { raw: true, locateSecrets, counters, limits: SMALL, ...options });
  return { ...assembled(order), counters, order };
}

function someText(random: Random): string {
  const words = ['word ', 'é', '{"a":1}', '\n', `key=${KEY} `, `"token":"hunter2hunter2"`, KEY, ' '];
  return Array.from({ length: 40 + random(80) }, () => words[random(words.length)]).join('');
}

test('small parts, cut anywhere: no secret but a few first characters at the end of the kept bytes, and nothing else changed', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = generator(seed);
    const text = someText(random);
    const coding = (['identity', 'gzip', 'br'] as const)[random(3)] ?? 'gzip';
    const told = run(answeredIn((random(2) === 0 ? http1 : http2)(encode(Buffer.from(text), coding), coding), () => 1 + random(70)));
    const [shown, plain] = [Buffer.from(told.text), Buffer.from(text)];
    expect(shown, `seed ${seed}`).toHaveLength(plain.length);
    const masked = Buffer.from(plain);
    for (const { start, end } of locateSecrets('body', plain)) masked.fill('*', start, end);
    const different = [...masked.keys()].filter((at) => shown[at] !== masked[at]);
    for (const at of different) expect([plain[at], masked[at]], `seed ${seed}`).toEqual([shown[at], '*'.charCodeAt(0)]);
    expect(different.every((at) => at >= 90 - 11 && at < 90), `seed ${seed}: ${different.join()}`).toBe(true);
    expect(told.text).not.toContain(KEY);
  }
});

describe('parts', () => {
  const text = Buffer.from('x'.repeat(1000));
  const events = answeredIn(http1(text, 'identity'), () => 100);
  const told = (options: Parameters<typeof analyze>[1]): number => run(events, options).parts.length;

  test('are told where every byte is asked for and chunks are left out, and in no other case', () => {
    expect(told({})).toBeGreaterThan(1);
    expect(told({ raw: false })).toBe(0);
    expect(told({ locateSecrets: undefined, keepOpaque: true })).toBe(0);
    expect(told({ isReplay: true })).toBe(0);
    // What fits is in the exchange alone.
    expect(told({ limits: {} })).toBe(0);
  });

  test('of too many bodies at once are refused, and counted', () => {
    const { parts, counters } = run(events, { limits: { ...SMALL, bodyPartBytesTotal: 119 } });
    expect([parts.length, counters.get('body_parts_full')]).toEqual([0, 1]);
  });

  test('after a gap go on at their place', () => {
    const lost = events.filter((_, index) => index !== 7);
    const { order } = analyze(lost, { raw: true, locateSecrets, limits: SMALL });
    const parts = order.filter((event): event is BodyEvent => event.source === 'body');
    const ends = parts.map(({ data }) => data.offset + data.bytes);
    const jumps = parts.slice(1).map(({ data }, i) => data.offset - (ends[i] ?? 0)).filter((jump) => jump !== 0);
    expect([jumps, ends.at(-1)]).toEqual([[100], 1000]);
  });
});
