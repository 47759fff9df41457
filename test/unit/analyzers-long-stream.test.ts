/** An hour of one event stream: what is held of it stays bounded, every event has its time, and a raw capture has every byte. */
import { createHash } from 'node:crypto';
import { constants, deflateRawSync } from 'node:zlib';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { createHttpCounters, http, type HttpOptions } from '../../analyzers/http.ts';
import type { Direction, Event, HttpEvent, TlsEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunk, closing, unescape } from '../cases.ts';
import { frame, framesOf } from '../frames.ts';

const EVENTS = 200_000;
/** Of a capture that is masked, which waits: it shows by fewer. */
const MASKED_EVENTS = 20_000;
/** Texts that differ; a stream repeats them. */
const TEXTS = Array.from({ length: 1000 }, (_, i) => `{"type":"content_block_delta","text":"word ${i} ${'~'.repeat(i % 40)}"}`);

interface Transport {
  readonly asked: Buffer;
  readonly head: Buffer;
  /** One event, which leaves at once. */
  piece(text: Buffer): Buffer;
  /** A stream that is compressed is not in a masked capture. */
  readonly isCoded: boolean;
}

const GET = Buffer.from('GET /s HTTP/1.1\r\nHost: a\r\n\r\n');
const HTTP1: Transport = { asked: GET, head: headOf(''), piece: (text) => text, isCoded: false };
const deflated = (text: Buffer): Buffer => deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH });

const TRANSPORTS: Readonly<Record<string, Transport>> = {
  'until the end of the connection': HTTP1,
  'in chunks': { ...HTTP1, head: headOf('Transfer-Encoding: chunked\r\n'), piece: (text) => Buffer.concat([Buffer.from(`${text.length.toString(16)}\r\n`), text, Buffer.from('\r\n')]) },
  'in gzip': { ...HTTP1, head: Buffer.concat([headOf('Content-Encoding: gzip\r\n'), Buffer.from('1f8b0800000000000003', 'hex')]), piece: deflated, isCoded: true },
  'over HTTP/2': {
    ...HTTP1,
    asked: framesOf('preface\nsettings\nheaders 1 end\n  :method: GET\n  :path: /s\n', unescape),
    head: framesOf('settings\nheaders 1\n  :status: 200\n  content-type: text/event-stream\n', unescape),
    piece: (text) => frame(0, 0, 1, text),
  },
};

function headOf(fields: string): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${fields}\r\n`);
}

/** Of a raw capture that is held until it is masked. */
const HELD_BYTES = 8 * 1024;
const DECODER_BYTES = 128 * 1024;

interface Run {
  readonly counters: Readonly<Record<string, number>>;
  readonly exchanges: readonly HttpEvent[];
  /** Events that were not the next, or not told in the call and at the time of their last byte. */
  readonly wrong: number;
  readonly told: number;
  /** Bytes of the stream, and those of them that came and that left. */
  readonly bodyBytes: number;
  readonly came: string;
  readonly left: string;
  /** Chunks that waited at once. */
  readonly waiting: number;
}

function run({ asked, head, piece }: Transport, count: number, options: Partial<HttpOptions>): Run {
  const counters = createHttpCounters();
  const source = new Subject<Event>();
  const [came, left] = [createHash('sha256'), createHash('sha256')];
  const exchanges: HttpEvent[] = [];
  const next: Record<Direction, number> = { read: 0, write: 0 };
  let [wrong, told, chunksIn, chunksOut, waiting, bodyBytes, now] = [0, 0, 0, 0, 0, 0, 0];
  source.pipe(http({
    nextId: () => 'e', counters, limits: { httpBodyBytesTotal: LIMITS.httpBodyBytes, rawHeldBytes: HELD_BYTES, codingBytesTotal: DECODER_BYTES }, ...options,
  })).subscribe((event) => {
    if (event.source === 'http') exchanges.push(event);
    if (event.source === 'tls' && event.data.event === 'DATA') {
      chunksOut++;
      left.update(event.data.payload);
    }
    if (event.source !== 'sse') return;
    if (event.data.index !== told || event.data.data !== TEXTS[told % TEXTS.length] || Number(event.timestamp) !== Math.round(now * 1e6)) wrong++;
    told++;
  });
  const send = (direction: Direction, bytes: Buffer): void => {
    const event: TlsEvent = chunk({ direction, bytes, position: next[direction], timeMs: now });
    next[direction] += bytes.length;
    came.update(bytes);
    chunksIn++;
    source.next(event);
    waiting = Math.max(waiting, chunksIn - chunksOut);
  };
  send('write', asked);
  send('read', head);
  const texts = TEXTS.map((text) => Buffer.from(`data: ${text}\n\n`));
  const pieces = texts.map((text) => piece(text));
  for (let i = 0; i < count; i++) {
    now = i * 3_600_000 / count;
    send('read', pieces[i % pieces.length] as Buffer);
    bodyBytes += texts[i % texts.length]?.length ?? 0;
    if (told !== i + 1) wrong++;
  }
  source.next(closing('c1', now));
  source.complete();
  return { counters: counters.snapshot(), exchanges, wrong, told, bodyBytes, came: came.digest('hex'), left: left.digest('hex'), waiting };
}

describe('200,000 events in an hour', { timeout: 240_000 }, () => {
  for (const [name, transport] of Object.entries(TRANSPORTS)) {
    it(`${name}: each is told at once with its time, and the body is kept up to its limit`, () => {
      const { counters, exchanges, wrong, told, bodyBytes, ...raw } = run(transport, EVENTS, { raw: true, keepOpaque: true });
      expect([told, wrong]).toEqual([EVENTS, 0]);
      expect(bodyBytes).toBeGreaterThan(LIMITS.httpBodyBytes);
      expect(exchanges).toHaveLength(1);
      const data = exchanges[0]?.data;
      expect(Buffer.byteLength(data?.response_body ?? '')).toBe(LIMITS.httpBodyBytes);
      expect([data?.sse_events, data?.response_body_truncated, transport.isCoded ? data?.response_decoded_bytes : data?.response_body_bytes]).toEqual([EVENTS, true, bodyBytes]);
      expect(counters).toMatchObject({ sse_events: EVENTS, bodies_truncated: 1, body_memory_full: 0, coding_memory_full: 0, opaque_bytes: 0 });
      // Nothing is masked: every byte is there, and no chunk waits.
      expect(raw.left).toBe(raw.came);
      expect(raw.waiting).toBe(0);
    });

    it(`${name}: a capture that is to be masked waits for no more than an event`, () => {
      const { counters, wrong, told, ...raw } = run(transport, MASKED_EVENTS, { raw: true, locateSecrets: () => [] });
      expect([told, wrong]).toEqual([MASKED_EVENTS, 0]);
      expect(raw.waiting).toBeLessThanOrEqual(2);
      expect(counters).toMatchObject({ held_full: 0, body_memory_full: 0 });
      if (transport.isCoded) expect(counters['withheld_bytes']).toBeGreaterThan(MASKED_EVENTS);
      else expect(raw.left).toBe(raw.came);
    });
  }
});
