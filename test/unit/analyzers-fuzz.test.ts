/**
 * Properties that must hold for any bytes, checked on seeded random traffic:
 * nothing throws, splits change nothing, every chunk leaves once, and a masked raw
 * capture replays to the very events of the live run.
 */
import { describe, expect, it } from 'vitest';
import type { Range } from '../../analyzers/http.ts';
import type { Direction, TlsEvent } from '../../src/event.ts';
import { analyze, chunk, closing } from '../cases.ts';
import { type Random, generator } from '../helpers/random.ts';
import { expectEqualReplay } from '../helpers/replayed.ts';

const WORDS = ['GET / HTTP/1.1\r\n', 'HTTP/1.1 200 OK\r\n', '\r\n', '\n', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n',
  '5\r\nhello\r\n', '0\r\n\r\n', 'data: x\n\n', ' ', 'a: b\r\n', '\r', 'PRI * HTTP/2.0', 'Content-Type: text/event-stream\r\n', ':', 'sk-hunterhunter', '\0\xff'];

function noise(random: Random): Buffer {
  const parts = Array.from({ length: 1 + random(12) }, () => (random(4) === 0
    ? Buffer.from(Array.from({ length: random(30) }, () => random(256)))
    : Buffer.from(WORDS[random(WORDS.length)] ?? '', 'latin1')));
  return Buffer.concat(parts);
}

function body(random: Random): string {
  return Array.from({ length: random(8) }, () => ['word ', 'sk-hunterhunter ', 'é', '{"a":1}', '\r\n'][random(5)]).join('');
}

function message(random: Random, first: string): Buffer {
  const text = Buffer.from(body(random));
  const head = `${first}\r\nHost: a.example\r\nX-Key: ${random(3) === 0 ? 'sk-hunterhunter' : 'none'}\r\n`;
  if (random(2) === 0) return Buffer.concat([Buffer.from(`${head}Content-Length: ${text.length}\r\n\r\n`), text]);
  const pieces: Buffer[] = [Buffer.from(`${head}${random(3) === 0 ? 'Content-Type: text/event-stream\r\n' : ''}Transfer-Encoding: chunked\r\n\r\n`)];
  for (let at = 0; at < text.length;) {
    const size = Math.min(text.length - at, 1 + random(9));
    pieces.push(Buffer.from(`${size.toString(16)}\r\n`), text.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
}

interface Traffic {
  readonly random: Random;
  readonly next: Record<Direction, number>;
  readonly events: TlsEvent[];
  timeMs: number;
}

function send(made: Traffic, direction: Direction, bytes: Buffer, split: boolean): void {
  const { random, next, events } = made;
  made.timeMs += random(40);
  for (let at = 0; at < bytes.length;) {
    const size = split ? Math.min(bytes.length - at, 1 + random(60)) : bytes.length;
    events.push(chunk({
      direction, bytes: bytes.subarray(at, at + size), position: next[direction] + at,
      total: bytes.length, offset: at, timeMs: made.timeMs,
    }));
    at += size;
  }
  next[direction] += bytes.length;
}

interface Plan {
  readonly split: boolean;
  readonly faults: boolean;
}

function traffic(seed: number, { split, faults }: Plan): TlsEvent[] {
  const shape = generator(seed);
  const made: Traffic = { random: generator(seed + 1_000_000), next: { read: 0, write: 0 }, events: [], timeMs: 0 };
  for (let i = 0; i < 6; i++) {
    const fault = faults ? shape(8) : 9;
    if (fault === 0) send(made, shape(2) === 0 ? 'read' : 'write', noise(shape), split);
    if (fault === 1) made.next[shape(2) === 0 ? 'read' : 'write'] += 1 + shape(50);
    const request = message(shape, `POST /${i} HTTP/1.1`);
    const response = message(shape, 'HTTP/1.1 200 OK');
    send(made, 'write', fault === 2 ? request.subarray(0, shape(request.length)) : request, split);
    if (fault !== 3) send(made, 'read', response, split);
  }
  if (shape(2) === 0) made.events.push(closing('c1', made.timeMs));
  return made.events;
}

function locateSecrets(_part: string, bytes: Buffer): readonly Range[] {
  const ranges: Range[] = [];
  for (let at = bytes.indexOf('sk-hunter'); at !== -1; at = bytes.indexOf('sk-hunter', at + 1)) {
    ranges.push({ start: at, end: Math.min(bytes.length, at + 15) });
  }
  return ranges;
}

const seeds = Array.from({ length: 200 }, (_, i) => i);

describe('random traffic', { timeout: 240_000 }, () => {
  it('of whole messages gives every exchange complete', () => {
    for (const seed of seeds) {
      const exchanges = analyze(traffic(seed, { split: true, faults: false })).derived.filter((one) => one['source'] === 'http');
      expect(exchanges.map((one) => [one['path'], one['state']]), `seed ${seed}`).toEqual([0, 1, 2, 3, 4, 5].map((i) => [`/${i}`, 'complete']));
    }
  });

  it('with gaps and garbage loses no chunk and invents no exchange', () => {
    for (const seed of seeds) {
      const events = traffic(seed, { split: true, faults: true });
      const { chunks, derived } = analyze(events);
      expect(chunks, `seed ${seed}`).toEqual(events);
      for (const one of derived) expect(one['source'] !== 'http' || one['state'] !== 'complete' || /^\/[0-5]?$/.test(String(one['path']))).toBe(true);
    }
  });

  it('replays from its masked capture to the same events', () => {
    for (const seed of seeds) {
      expectEqualReplay(traffic(seed, { split: true, faults: true }), { locateSecrets, secret: 'sk-hunter', where: `seed ${seed}` });
    }
  });

  it('of pure noise never throws', () => {
    for (const seed of seeds) {
      const random = generator(seed);
      const made: Traffic = { random, next: { read: random(2) * 100, write: random(2) * 100 }, events: [], timeMs: 0 };
      for (let i = 0; i < 10; i++) send(made, random(2) === 0 ? 'read' : 'write', noise(random), random(2) === 0);
      const events = random(3) === 0 ? made.events.toSorted(() => random(3) - 1) : made.events;
      expect(analyze(events, { locateSecrets, raw: true }).chunks, `seed ${seed}`).toHaveLength(events.length);
    }
  });
});
