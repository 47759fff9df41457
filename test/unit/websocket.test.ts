/** WebSockets as `ws` speaks them, and as nobody should: every message is told as it was sent, or that it was not. */
import { describe, expect, it } from 'vitest';
import { type Range, createHttpCounters } from '../../analyzers/http.ts';
import { locateSecrets as realRules } from '../../analyzers/redact.ts';
import { toLine } from '../../src/event-json.ts';
import { parseLine } from '../../src/event-parse.ts';
import type { Event, TlsEvent } from '../../src/event.ts';
import { chunk, analyze, closing } from '../cases.ts';
import { type Random, generator } from '../helpers/random.ts';
import { expectEqualReplay } from '../helpers/replayed.ts';
import { type Deflate, type Piece, type WebsocketTraffic, recordWebsocket } from '../helpers/websocket-traffic.ts';
import { frameOf } from '../messages.ts';

const PLAIN: readonly Deflate[] = [false];
const COMPRESSED: readonly Deflate[] = [
  { threshold: 0 },
  { threshold: 64, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
  { threshold: 0, serverNoContextTakeover: true },
  { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
];
const KEY = Buffer.from([0xde, 0xad, 0xbe, 0xef]);
const HANDSHAKE: readonly Piece[] = [
  { direction: 'write', position: 0, bytes: Buffer.from('GET /live HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\r\n') },
  { direction: 'read', position: 0, bytes: Buffer.from('HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n') },
];

/** The pieces as chunks of one connection, each cut at random. */
function cut(pieces: readonly Piece[], random: Random, connection = 'c1'): TlsEvent[] {
  return pieces.flatMap(({ direction, bytes, position }, index) => {
    const events: TlsEvent[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(bytes.length - at, random(3) === 0 ? 1 + random(9) : 1 + random(4096));
      events.push(chunk({
        connection, direction, bytes: Buffer.from(bytes.subarray(at, at + size)), position: position + at, total: bytes.length, offset: at, timeMs: index * 10,
      }));
      at += size;
    }
    return events;
  });
}

function messagesIn(derived: readonly Record<string, unknown>[], direction: string): Record<string, unknown>[] {
  return derived.filter((one) => one['source'] === 'websocket' && one['direction'] === direction);
}

function bodyOf(message: Record<string, unknown>): Buffer {
  if (message['opcode'] !== 'close') return Buffer.from(String(message['body'] ?? ''), message['body_encoding'] as BufferEncoding);
  const code = Buffer.alloc(2);
  code.writeUInt16BE(Number(message['close_code']));
  return Buffer.concat([code, Buffer.from(String(message['close_reason'] ?? ''))]);
}

/** When a ping is answered is up to its reader: pongs are compared apart. */
function expectAsSent({ sent }: WebsocketTraffic, derived: readonly Record<string, unknown>[]): void {
  for (const direction of ['read', 'write'] as const) {
    const told = messagesIn(derived, direction);
    expect(told.every((one) => one['state'] === 'complete')).toBe(true);
    for (const isPong of [false, true]) {
      expect(told.filter((one) => (one['opcode'] === 'pong') === isPong).map((one) => [one['opcode'], one['fragments'], bodyOf(one).toString('latin1')]))
        .toEqual(sent.filter((one) => one.direction === direction && (one.opcode === 'pong') === isPong)
          .map((one) => [one.opcode, one.fragments, one.body.toString('latin1')]));
    }
  }
}

function locateSecrets(_part: string, bytes: Buffer): readonly Range[] {
  return [...bytes.toString('latin1').matchAll(/sk-hunter[a-z]{6}/g)].map(({ index, 0: text }) => ({ start: index, end: index + text.length }));
}

function writtenIn(chunks: readonly TlsEvent[]): Buffer {
  return Buffer.concat(chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : [])));
}

describe('what two ends of ws say to each other', { timeout: 220_000 }, () => {
  it.each([...PLAIN, ...COMPRESSED].map((deflate) => [JSON.stringify(deflate), deflate] as const))('is told message by message: %s', async (_name, deflate) => {
    for (let seed = 0; seed < 4; seed++) {
      const traffic = await recordWebsocket(generator(seed), deflate);
      const { derived } = analyze(cut(traffic.pieces, generator(seed)));
      expectAsSent(traffic, derived);
      const compressed = derived.filter((one) => one['compressed'] === true);
      expect(compressed.length > 0).toBe(deflate !== false);
    }
  });

  it('leaves no secret in a masked capture, which replays to the same events', async () => {
    for (const deflate of [...PLAIN, ...COMPRESSED]) {
      const { pieces } = await recordWebsocket(generator(7), deflate);
      const events = cut(pieces, generator(7));
      const live = analyze(events, { locateSecrets });
      const raw = analyze(events, { locateSecrets, raw: true });
      expect(raw.derived).toEqual(live.derived);
      expect(raw.chunks).toHaveLength(events.length);
      expect(JSON.stringify(live.derived)).not.toContain('sk-hunter');
      expect(JSON.stringify(live.derived)).toContain('****');
      // A client's bytes hide nothing for those who know the key: what they unmask to is read, too.
      expect(JSON.stringify(analyze(raw.chunks).derived)).not.toContain('sk-hunter');
      expect(writtenIn(raw.chunks).includes('sk-hunter')).toBe(false);
      if (deflate === false) expect(analyze(raw.chunks, { locateSecrets }).derived).toEqual(live.derived);
      else expect(analyze(raw.chunks, { locateSecrets, recorded: new Set(['c1']) }).derived).toEqual([]);
    }
  });

  it('with bytes missing tells nothing that was not said, and goes on', async () => {
    for (const deflate of [...PLAIN, ...COMPRESSED]) {
      const traffic = await recordWebsocket(generator(3), deflate);
      const said = new Set(traffic.sent.map(({ opcode, body }) => `${opcode} ${body.toString('latin1')}`));
      let found = 0;
      for (let seed = 0; seed < 25; seed++) {
        const random = generator(seed);
        const events = cut(traffic.pieces, random);
        const first = 1 + events.findIndex(({ data }) => data.event === 'DATA' && data.direction === 'read' && data.position > 0);
        const rate = seed % 2 === 0 ? events.length : 10;
        const kept = events.filter((_, index) => index < first || random(rate) > 0);
        const { derived } = analyze(kept);
        const told = derived.filter((one) => one['source'] === 'websocket');
        for (const one of told) {
          if (one['state'] !== 'complete') continue;
          expect(said, `seed ${seed}`).toContain(`${String(one['opcode'])} ${bodyOf(one).toString('latin1')}`);
        }
        for (const direction of ['read', 'write']) {
          const states = told.filter((one) => one['direction'] === direction).map((one) => (one['opcode'] === null ? 'lost' : one['state']));
          if (states.includes('lost') && states.lastIndexOf('complete') > states.indexOf('lost')) found++;
        }
        if (deflate === false) expectEqualReplay(kept, { locateSecrets, secret: 'sk-hunterhunter', where: `seed ${seed}` });
      }
      expect(found, JSON.stringify(deflate)).toBeGreaterThan(2);
    }
  });

  it('of random bytes in a payload takes none for a frame', () => {
    const random = generator(11);
    for (const [direction, agreed] of [['read', ''], ['read', 'Sec-WebSocket-Extensions: permessage-deflate\r\n'], ['write', '']] as const) {
      const counters = createHttpCounters();
      const handshake = [HANDSHAKE[0] as Piece, { direction: 'read' as const, position: 0, bytes: Buffer.from(`HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n${agreed}\r\n`) }];
      let position = 1000;
      // As many short calls as can be: those are what chance could fill with a frame.
      const calls = Array.from({ length: 40_000 }, () => {
        const bytes = Buffer.from(Array.from({ length: 2 + random(12) }, () => random(256)));
        const piece = { direction, position, bytes };
        position += bytes.length;
        return piece;
      });
      const { derived } = analyze(cut([...handshake, ...calls], () => 4095), { counters });
      expect(derived.filter((one) => one['opcode'] !== null && one['source'] === 'websocket'), `${direction} ${agreed}`).toEqual([]);
    }
  });
});

describe('bytes that are no WebSocket', { timeout: 240_000 }, () => {
  it('throw nothing, lose no chunk and replay to the same events', async () => {
    const traffic = await recordWebsocket(generator(5), false);
    for (let seed = 0; seed < 60; seed++) {
      const random = generator(seed);
      const pieces = traffic.pieces.map((piece, index) => (index < 2 ? piece : { ...piece, bytes: damaged(piece.bytes, random) }));
      const events = cut(pieces, random).filter(() => random(40) > 0);
      if (random(2) === 0) events.push(closing('c1', 9999));
      expectEqualReplay(events, { locateSecrets, secret: 'sk-hunterhunter', where: `seed ${seed}` });
    }
  });

  it('throw nothing where they are compressed', async () => {
    const traffic = await recordWebsocket(generator(6), { threshold: 0 });
    for (let seed = 0; seed < 60; seed++) {
      const random = generator(seed);
      const pieces = traffic.pieces.map((piece, index) => (index < 2 ? piece : { ...piece, bytes: damaged(piece.bytes, random) }));
      const events = cut(pieces, random);
      const live = analyze(events, { locateSecrets });
      expect(analyze(events, { locateSecrets, raw: true }).derived, `seed ${seed}`).toEqual(live.derived);
      // However the same bytes come: times apart, for those are of the chunks.
      expect(analyze(cut(pieces, generator(seed + 1000)), { locateSecrets }).derived, `seed ${seed}`).toEqual(live.derived);
    }
  });
});

/** Now and then a byte or some of it is another. */
function damaged(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  if (random(4) > 0 || copy.length === 0) return copy;
  const at = random(copy.length);
  for (let i = at; i < Math.min(copy.length, at + 1 + random(4)); i++) copy[i] = random(256);
  return copy;
}

function after(direction: 'read' | 'write', frames: readonly Buffer[]): Piece {
  return { direction, bytes: Buffer.concat(frames), position: HANDSHAKE.find((piece) => piece.direction === direction)?.bytes.length ?? 0 };
}

describe('a WebSocket', () => {
  it('keeps what it says masked by the real rules, read back from its file', () => {
    const key = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF';
    const pieces = [
      ...HANDSHAKE,
      after('write', [frameOf(0x81, Buffer.from(JSON.stringify({ api_key: key })), { key: KEY }), frameOf(0x89, Buffer.from(`password=${key}`), { key: KEY })]),
      after('read', [frameOf(0x01, Buffer.from(`your key is ${key.slice(0, 20)}`), { key: null }), frameOf(0x80, Buffer.from(key.slice(20)), { key: null }),
        frameOf(0x88, Buffer.concat([Buffer.from([0x0f, 0xa0]), Buffer.from(key)]), { key: null })]),
    ];
    for (const size of [1, 7, 4096]) {
      const events = cut(pieces, () => size - 1);
      const live = analyze(events, { locateSecrets: realRules });
      const raw = analyze(events, { locateSecrets: realRules, raw: true });
      expect(live.derived.slice(1).map((one) => [one['opcode'], one['redacted']])).toEqual([['text', 1], ['ping', 1], ['text', 1], ['close', 1]]);
      expect(JSON.stringify(live.derived)).not.toMatch(/sk-ant/);
      expect(JSON.stringify(analyze(raw.chunks).derived)).not.toMatch(/sk-ant/);
      const file = raw.chunks.map((event) => parseLine(toLine(event)) as Event);
      expect(analyze(file, { locateSecrets: realRules }).derived).toEqual(live.derived);
    }
  });

  it('gives back the memory of its windows and bodies', async () => {
    const { pieces } = await recordWebsocket(generator(1), { threshold: 0 });
    const random = generator(1);
    const counters = createHttpCounters();
    const events = Array.from({ length: 20 }, (_, i) => [...cut(pieces, random, `c${i}`), closing(`c${i}`)]).flat();
    analyze(events, { counters, limits: { codingBytesTotal: 2 * 64 * 1024, httpBodyBytesTotal: 300_000 } });
    expect(counters.snapshot()).toMatchObject({ websockets: 20, coding_memory_full: 0, body_memory_full: 0, websocket_errors: 0, websocket_lost: 0 });
  });

  it('of fragments without end keeps no more than its bodies may', () => {
    const counters = createHttpCounters();
    const fragments = Array.from({ length: 5000 }, (_, i) => frameOf(i === 0 ? 0x01 : 0x00, Buffer.from('x'), { key: KEY }));
    const events = cut([...HANDSHAKE, after('write', fragments)], () => 4095);
    const { derived } = analyze(events, { counters, locateSecrets, raw: true, limits: { httpBodyBytesTotal: 64 * 1024 } });
    expect(derived[1]).toMatchObject({ source: 'websocket', fragments: 5000, bytes: 5000, truncated: true, state: 'aborted' });
    expect(counters.snapshot()).toMatchObject({ body_memory_full: 1 });
  });

  it('counts what it gave up', () => {
    const counters = createHttpCounters();
    const events = cut([...HANDSHAKE, after('read', [Buffer.from([0x83, 0x01, 0x41, 0x42])]), after('write', [frameOf(0x81, Buffer.from('a'), { key: KEY })])], () => 4095);
    analyze(events, { counters });
    expect(counters.snapshot()).toMatchObject({ websockets: 1, websocket_messages: 2, websocket_errors: 1, websocket_lost: 0, opaque_bytes: 2, opaque_upgraded: 0 });
  });
});
