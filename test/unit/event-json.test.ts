import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/event.ts';
import { SOURCES } from '../../src/event.ts';
import { createEncoder, encodeBatch, toLine } from '../../src/event-json.ts';
import { parseLine } from '../../src/event-parse.ts';
import { jsonSchema } from '../../src/event-schema.ts';
import { nanoseconds } from '../../src/time.ts';
import { chunk, everySource, stdioEvent } from '../helpers/events.ts';

describe('the line of an event', () => {
  test.each(everySource().map((event) => [`${event.source} ${'event' in event.data ? event.data.event : ''}`, event] as const))(
    'event -> line -> event is identity: %s',
    (_, event) => {
      const line = toLine(event);
      expect(parseLine(line)).toEqual(event);
      expect(toLine(parseLine(line))).toBe(line);
    },
  );

  test('every source has an example here', () => {
    expect(new Set(everySource().map((event) => event.source))).toEqual(new Set(SOURCES));
  });

  test('timestamp is the first key, a bare integer with every digit', () => {
    const line = toLine({ ...stdioEvent(), timestamp: nanoseconds(18_446_744_073_709_551_615n) });
    expect(line.startsWith('{"timestamp":18446744073709551615,"source":"stdio","pid":')).toBe(true);
    expect(parseLine(line).timestamp).toBe(18_446_744_073_709_551_615n);
  });

  test('times have every digit, whichever came before', () => {
    const second = 1_000_000_000n;
    const whole = 1_795_900_084n * second;
    const times = [whole, whole + 1n, whole + second - 1n, whole + second, whole + 12_345n, 0n, 1n, second - 1n, second, second + 7n, whole - 1n, -5n, whole + 2n]
      .map((time) => nanoseconds(time));
    const lines = encodeBatch(times.map((timestamp) => ({ ...stdioEvent(), timestamp }))).toString().trimEnd().split('\n');
    expect(lines.map((line) => /^\{"timestamp":(-?\d+),/.exec(line)?.[1])).toEqual(times.map(String));
  });

  test('every byte value survives, as base64 when it is not UTF-8', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const line = toLine(stdioEvent(chunk(all)));
    expect(line).toContain('"payload_encoding":"base64"');
    expect(payloadOf(parseLine(line))).toEqual(all);
  });

  test('UTF-8 is written as text, escaped as JSON wants it', () => {
    const text = `${String.fromCharCode(...Array.from({ length: 128 }, (_, code) => code))} é 漢 😀 \u2028`;
    const line = toLine(stdioEvent(chunk(Buffer.from(text))));
    expect(line).toContain('"payload_encoding":"utf8"');
    expect(JSON.parse(line).data.payload).toBe(text);
    expect(line.split('\n')).toHaveLength(1);
  });

  test.each([[Buffer.of(0xc3), 'half a character'], [Buffer.of(0xed, 0xa0, 0x80), 'an encoded surrogate'], [Buffer.of(0xc0, 0x80), 'an overlong NUL']])(
    'bytes %j (%s) are not text',
    (bytes) => {
      const line = toLine(stdioEvent(chunk(bytes)));
      expect(line).toContain('"payload_encoding":"base64"');
      expect(payloadOf(parseLine(line))).toEqual(bytes);
    },
  );

  test('half a surrogate pair becomes U+FFFD, and an escaped backslash before "ud8" does not', () => {
    const event = everySource().find((candidate) => candidate.source === 'log');
    const line = toLine({ ...event, comm: 'a\ud800', data: { level: 'info', message: 'x\udfff \\ud800 😀' } } as Event);
    const back = parseLine(line);
    expect(back.comm).toBe('a\ufffd');
    expect(back.data).toEqual({ level: 'info', message: 'x\ufffd \\ud800 😀' });
  });

  test('a header named __proto__ and keys of a newer version come back', () => {
    const http = everySource().find((candidate) => candidate.source === 'http') as Event;
    const data = JSON.parse(JSON.stringify(http.data).replace('"host":', '"new_key":1,"host":').replace('"accept":', '"__proto__":'));
    const line = toLine({ ...http, data });
    expect(line).toContain('"__proto__":["*/*"]');
    expect(toLine(parseLine(line))).toBe(line);
    expect(parseLine(line).data).toHaveProperty('new_key', 1);
  });

  test('a batch is its lines, and the next one has none of them', () => {
    const encoder = createEncoder();
    const [first, ...others] = everySource();
    for (const event of others) encoder.add(event);
    expect(encoder.finish().toString()).toBe(others.map((event) => `${toLine(event)}\n`).join(''));
    encoder.add(first as Event);
    expect(encoder.finish().toString()).toBe(`${toLine(first as Event)}\n`);
  });

  test('the buffer grows for payloads that escaping makes six times longer', () => {
    const payload = Buffer.alloc(1_000_000, 1);
    const jsonl = encodeBatch([stdioEvent(chunk(payload)), stdioEvent(chunk(payload))]);
    const [first, second] = jsonl.toString().split('\n');
    expect(payload.equals(payloadOf(parseLine(first ?? '')) ?? Buffer.alloc(0))).toBe(true);
    expect(payload.equals(payloadOf(parseLine(second ?? '')) ?? Buffer.alloc(0))).toBe(true);
  });
});

describe('a line that is not an event', () => {
  const line = toLine(stdioEvent());
  test.each([
    [line.slice(0, line.length / 2), /not whole JSON/],
    ['[1]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{"source":"stdio","timestamp":1}', /"timestamp" is not its first key/],
    [line.replace(/"timestamp":\d+/, '"timestamp":1.5'), /bare integer/],
    [line.replace(/"timestamp":\d+/, '"timestamp":99999999999999999999'), /exceeds 64 bits/],
    [line.replace('"source":"stdio"', '"source":"ssl"'), /unknown source "ssl"/],
    [line.replace(/"pid":\d+/, '"pid":"7"'), /pid/],
    [line.replace('"direction":"write"', '"direction":"sideways"'), /stdio data:.*direction/s],
    [line.replace('"payload_encoding":"utf8"', '"payload_encoding":"hex"'), /payload_encoding/],
  ])('%# is refused by what is wrong with it', (bad, message) => {
    expect(() => parseLine(bad)).toThrowError(expect.objectContaining({ code: 'CAPTURE_UNREADABLE', message: expect.stringMatching(message) }));
  });
});

test('the JSON Schema gives timestamp as an integer and one variant per source', () => {
  const schema = jsonSchema();
  expect(schema).toMatchObject({ properties: { timestamp: { type: 'integer' } } });
  expect((schema['oneOf'] as unknown[]).length).toBe(SOURCES.length);
  expect(JSON.stringify(schema)).toContain('response_header_list');
});

function payloadOf(event: Event): Uint8Array | undefined {
  return 'payload' in event.data ? event.data.payload : undefined;
}
