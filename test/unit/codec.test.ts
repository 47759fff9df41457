import { describe, expect, test } from 'vitest';
import { batchHeader, createFrameDecoder, decodeFrame, encodeMessage, type Message } from '../../src/link/codec.ts';
import { FRAME, PROTOCOL_VERSION } from '../../src/link/protocol.ts';

const messages: Exclude<Message, { kind: 'unknown' }>[] = [
  {
    kind: 'hello',
    hello: {
      protocol: PROTOCOL_VERSION, version: '0.1.0', collector: 'h.b.c', host: 'h', boot: 'b', pid: 7,
      command: ['trace', '--', 'curl'], redaction: true,
    },
  },
  { kind: 'welcome', welcome: { protocol: 1, version: '0.1.0', hub: 'abc', url: 'http://127.0.0.1:1/?token=x' } },
  { kind: 'batch', sequence: 4_294_967_297, jsonl: Buffer.from('{"timestamp":1}\n{"é":2}\n') },
  { kind: 'batch', sequence: 1, jsonl: Buffer.alloc(0) },
  { kind: 'ack', ack: { sequence: 3 } },
  { kind: 'stats', stats: { stages: [{ stage: 'file', counters: { events: 2 } }] } },
  { kind: 'refused', refused: { code: 'HUB_VERSION', message: 'could not join' } },
  { kind: 'bye' },
];
const wire = Buffer.concat(messages.map(encodeMessage));

describe('frames', () => {
  test('every message survives the wire whole and in single bytes', () => {
    expect(createFrameDecoder().push(wire).map(decodeFrame)).toEqual(messages);
    const decoder = createFrameDecoder();
    const seen: Message[] = [];
    for (const byte of wire) seen.push(...decoder.push(Buffer.of(byte)).map(decodeFrame));
    expect(seen).toEqual(messages);
    expect(decoder.pendingBytes).toBe(0);
  });

  test('every split point gives the same messages', () => {
    for (let at = 0; at <= wire.length; at++) {
      const decoder = createFrameDecoder();
      const frames = [...decoder.push(wire.subarray(0, at)), ...decoder.push(wire.subarray(at))];
      expect(frames.map(decodeFrame)).toEqual(messages);
    }
  });

  test('a header followed by its events is the same batch', () => {
    const jsonl = Buffer.from('{"timestamp":9}\n');
    expect(Buffer.concat([batchHeader(9, jsonl.length), jsonl])).toEqual(encodeMessage({ kind: 'batch', sequence: 9, jsonl }));
  });

  test('a frame over the limit is refused before it is buffered', () => {
    const header = Buffer.alloc(5);
    header.writeUInt32LE(1025, 0);
    expect(() => createFrameDecoder(1024).push(header)).toThrowError(expect.objectContaining({ code: 'LINK_PROTOCOL' }));
  });

  test('an empty frame, a body that is no JSON and a body of another shape are refused by name', () => {
    expect(() => createFrameDecoder().push(Buffer.alloc(4))).toThrowError(/frame of 0 bytes/);
    const refuse = (type: number, body: string) => () => decodeFrame({ type, body: Buffer.from(body) });
    expect(refuse(FRAME.ack, '{')).toThrowError(/unreadable ack: not JSON/);
    expect(refuse(FRAME.ack, '{"sequence":-1}')).toThrowError(/unreadable ack: /);
    expect(refuse(FRAME.batch, 'short')).toThrowError(/batch without its sequence/);
    expect(refuse(FRAME.batch, '\0\0\0\0\0\0\0\0')).toThrowError(/impossible sequence/);
  });

  test('a type of a later version is handed on, not an error', () => {
    expect(decodeFrame({ type: 200, body: Buffer.alloc(0) })).toEqual({ kind: 'unknown', type: 200 });
  });
});
