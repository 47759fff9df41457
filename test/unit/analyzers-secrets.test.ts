/** The HTTP operator with the real rules of redaction: what a masked capture says, read back from its file, is what was said live. */
import { describe, expect, it } from 'vitest';
import { locateSecrets } from '../../analyzers/redact.ts';
import { toLine } from '../../src/event-json.ts';
import { parseLine } from '../../src/event-parse.ts';
import type { Direction, Event, TlsEvent } from '../../src/event.ts';
import { analyze, chunk } from '../cases.ts';

const KEY = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF';
const TOKEN = 'ghp_abcdefghijklmnopqrstuvwxyz0123456789';

function parts(direction: Direction, text: string, size: number): TlsEvent[] {
  const bytes = Buffer.from(text);
  const events: TlsEvent[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    events.push(chunk({ direction, bytes: bytes.subarray(at, at + size), position: at, total: bytes.length, offset: at, timeMs: direction === 'read' ? 20 : 0 }));
  }
  return events;
}

function chunked(text: string, size: number): string {
  const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
  return `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\n\r\n`;
}

const body = JSON.stringify({ model: 'm', api_key: 'opensesame-0123456789', messages: [{ role: 'user', content: `use ${TOKEN} now` }] });
const request = `POST /v1/messages?access_token=opensesame-abcdef&x=1 HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer ${KEY}\r\n`
  + `x-api-key: ${KEY}\r\nCookie: session=opensesame-zzzzzz; b=2\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const events = ['{"type":"message_start"}', `{"type":"text","text":"the key is ${TOKEN}"}`, '{"password":"opensesame-123456"}']
  .map((data) => `event: x\ndata: ${data}\n\n`).join('');
const stream = `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: id=opensesame-qqqqqq\r\nTransfer-Encoding: chunked\r\n\r\n`;

describe('the real rules of redaction', () => {
  it.each([1, 7, 64, 4096])('hide every secret in events and capture, read in parts of %i bytes', (size) => {
    for (const chunkSize of [3, 50, 1000]) {
      const input = [...parts('write', request, size), ...parts('read', stream + chunked(events, chunkSize), size)];
      const live = analyze(input, { locateSecrets });
      const raw = analyze(input, { locateSecrets, raw: true });
      const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : []))).toString('latin1');
      for (const text of [written, JSON.stringify(live.derived)]) expect(text).not.toMatch(/sk-ant-api03|ghp_|opensesame/);
      expect(live.derived.map((one) => one['source'])).toEqual(['sse', 'sse', 'sse', 'http']);
      expect(Number(live.derived[3]?.['redacted'])).toBeGreaterThanOrEqual(8);
      expect(raw.derived).toEqual(live.derived);
      const file = raw.chunks.map((event) => parseLine(toLine(event)) as Event);
      expect(analyze(file, { locateSecrets }).derived).toEqual(live.derived);
    }
  });
});
