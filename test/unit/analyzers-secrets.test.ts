/** The HTTP operator with the real rules of redaction: what a masked capture says, read back from its file, is what was said live. */
import { writeFileSync } from 'node:fs';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { locateSecrets } from '../../analyzers/redact.ts';
import { toLine } from '../../src/event-json.ts';
import { parseLine } from '../../src/event-parse.ts';
import type { Direction, Event, TlsEvent } from '../../src/event.ts';
import { scanCapture } from '../../src/runners/replay.ts';
import { analyze, chunk, unescape } from '../cases.ts';
import { framesOf } from '../frames.ts';
import { tempDir } from '../helpers/files.ts';

const KEY = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF';
const TOKEN = 'ghp_abcdefghijklmnopqrstuvwxyz0123456789';

function parts(direction: Direction, text: string | Buffer, size: number): TlsEvent[] {
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

describe('what is odd about a message', () => {
  const odd = 'POST / HTTP/1.1\r\nHost: a\r\nX-Session-Token: opensesame-1\r\n opensesame-2\r\nX-Auth-Token : opensesame-3\r\nTransfer-Encoding: chunked\r\n\r\n'
    + '2;x=opensesame-4\r\nok\r\n0\r\nX-Session-Token: opensesame-5\r\nSet-Cookie: opensesame-6\r\n\r\n';
  const answer = 'HTTP/1.1 103 Early Hints\r\nSet-Cookie: opensesame-7\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n';

  it.each([1, 7, 4096])('hides no secret, read in parts of %i bytes', (size) => {
    const input = [...parts('write', odd, size), ...parts('read', answer, size)];
    const live = analyze(input, { locateSecrets });
    const raw = analyze(input, { locateSecrets, raw: true });
    const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : []))).toString('latin1');
    for (const text of [written, JSON.stringify(live.derived)]) expect(text).not.toMatch(/opensesame/);
    expect(live.derived).toMatchObject([{
      state: 'complete', request_trailers: [['X-Session-Token', '*'.repeat(12)], ['Set-Cookie', '*'.repeat(12)]],
      interim: [{ status: 103, headers: { 'set-cookie': ['*'.repeat(12)] } }], redacted: 6,
    }]);
    expect(raw.derived).toEqual(live.derived);
    expect(analyze(raw.chunks, { locateSecrets }).derived).toEqual(live.derived);
  });
});

const packed = gzipSync(Buffer.from(JSON.stringify({ api_key: KEY })));
const plain = Buffer.from('\n\x05hello');

function framed(flag: number, message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A plain message, a compressed one and one more that is plain, over two frames of DATA. */
const messages = Buffer.concat([framed(0, plain), framed(1, packed), framed(0, plain)]);
const escaped = (bytes: Buffer): string => [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
const called = (type: string): Buffer => framesOf(`preface
settings
headers 1
  :method: POST
  :path: /s/m
${type}
data 1 | ${escaped(messages.subarray(0, 30))}
data 1 end pad=3 | ${escaped(messages.subarray(30))}
`, unescape);
const web = Buffer.concat([
  Buffer.from(`POST /s/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: ${messages.length}\r\n\r\n`), messages,
]);

describe('a coded body whose head is not known', () => {
  const secret = JSON.stringify({ api_key: KEY, more: `${TOKEN} `.repeat(20) });
  const zstd = Buffer.from('28b52ffd0458a900007b226b6579223a22736b2d616e742d7365637265742d30303122', 'hex');
  const codings: readonly (readonly [string, Buffer])[] = [
    ['gzip', gzipSync(secret)], ['deflate', deflateSync(secret)], ['raw deflate', deflateRawSync(secret)], ['br', brotliCompressSync(secret)],
    ['br of a word', brotliCompressSync('opensesame')], ['zstd', zstd], ['gzip without its start', gzipSync(secret).subarray(10)],
  ];

  function frames(coded: Buffer, head: string): Buffer {
    const half = Math.ceil(coded.length / 2);
    return framesOf(`${head}
data 1 | ${escaped(coded.subarray(0, half))}
data 1 end | ${escaped(coded.subarray(half))}
headers 3
  :status: 200
data 3 end | plain
`, unescape);
  }

  const heads = [['missing', 'data 1 | \nsettings'], ['of unknown fields', 'headers 1\n  :status: 200\n  #70']] as const;
  it.each(codings.flatMap(([name, coded]) => heads.map(([what, head]) => ({ name, coded, what, head }))))('$name, head $what: is masked whole', ({ coded, head }) => {
    const bytes = frames(coded, head);
    for (const size of [1, 9, 4096]) {
      const input = parts('read', bytes, size).map((event) => ({ ...event, data: { ...event.data, position: ('position' in event.data ? event.data.position : 0) + 5000 } }) as TlsEvent);
      const live = analyze(input, { locateSecrets });
      const raw = analyze(input, { locateSecrets, raw: true });
      const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : [])));
      for (let at = 0; at + 10 <= coded.length; at++) expect(written.includes(coded.subarray(at, at + 10))).toBe(false);
      expect(live.derived).toMatchObject([{ response_body: '*'.repeat(coded.length), response_body_encoding: 'utf8' }, { response_body: 'plain', status: 200 }]);
      expect(raw.derived).toEqual(live.derived);
      expect(analyze(raw.chunks, { locateSecrets }).derived).toEqual(live.derived);
    }
  });
});

describe('compressed messages of gRPC', () => {
  it.each([
    ['named by the type', called('  content-type: application/grpc\n  grpc-encoding: gzip')],
    ['without a coding that is named', called('  content-type: application/grpc+proto')],
    ['without a type that is known', called('  x: y')],
    ['gRPC-Web over HTTP/1', web],
  ])('leave in no event and no raw chunk: %s', (_name, bytes) => {
    for (const size of [1, 7, 4096]) {
      const input = parts('write', bytes, size);
      const live = analyze(input, { locateSecrets });
      const raw = analyze(input, { locateSecrets, raw: true });
      const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : [])));
      const [exchange] = live.derived;
      const shown = Buffer.from(String(exchange?.['request_body']), exchange?.['request_body_encoding'] as BufferEncoding);
      // The plain messages around it stay; of the compressed one not even its magic number does.
      expect(shown).toEqual(Buffer.concat([framed(0, plain), framed(1, Buffer.alloc(packed.length, '*')), framed(0, plain)]));
      for (const one of [shown, written]) expect(one.includes(packed.subarray(0, 8)) || one.includes(packed.subarray(40, 48))).toBe(false);
      expect(raw.derived).toEqual(live.derived);
      expect(analyze(raw.chunks, { locateSecrets }).derived).toEqual(live.derived);
    }
  });

  it('are masked in what they say, which a replay keeps', async () => {
    const said = Buffer.concat([Buffer.from([0x0a, KEY.length]), Buffer.from(KEY), Buffer.from('\x12\x05hello')]);
    const call = framed(1, gzipSync(said));
    const bytes = framesOf(`preface\nsettings\nheaders 1\n  :method: POST\n  :path: /s/m\n  content-type: application/grpc\n  grpc-encoding: gzip\ndata 1 end | ${escaped(call)}\n`, unescape);
    const input = parts('write', bytes, 9);
    const { derived, order } = analyze(input, { locateSecrets, raw: true });
    expect(derived).toEqual(analyze(input, { locateSecrets }).derived);
    expect(derived).toMatchObject([{ grpc: { request_messages: [{ compressed: true, fields: [{ number: 1, value: '*'.repeat(KEY.length) }, { number: 2, value: 'hello' }] }] } }]);
    const folder = tempDir();
    onTestFinished(folder.remove);
    writeFileSync(folder.file('capture.jsonl'), `${order.map((event) => toLine(event)).join('\n')}\n`);
    expect(await scanCapture(folder.file('capture.jsonl'))).toEqual({ recompute: new Set(), recorded: new Set(['c1']) });
  });

  it('are covered to the end where bytes before them are missing', () => {
    const bytes = called('  content-type: application/grpc');
    const bodyAt = bytes.length - messages.length;
    const gap = bodyAt - 10;
    const input = [
      chunk({ direction: 'write', bytes: bytes.subarray(0, gap), position: 0 }),
      chunk({ direction: 'write', bytes: bytes.subarray(gap + 6), position: gap + 6, timeMs: 500 }),
    ];
    const raw = analyze(input, { locateSecrets, raw: true });
    const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : [])));
    expect(written.includes(packed.subarray(40, 48))).toBe(false);
    expect(analyze(raw.chunks, { locateSecrets }).derived).toEqual(raw.derived);
  });

  it('are shown as they are where nothing is to be masked', () => {
    const { derived: [exchange] } = analyze(parts('write', web, 4096));
    expect(Buffer.from(String(exchange?.['request_body']), 'base64')).toEqual(messages);
  });
});
