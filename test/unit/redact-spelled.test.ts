/** Secrets that a model spells over the events of a stream, as each of the usual interfaces sends them. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createSecretLocator, locateSecrets } from '../../analyzers/redact.ts';
import type { Direction, TlsEvent } from '../../src/event.ts';
import { analyze, chunk } from '../cases.ts';
import { type Random, generator } from '../helpers/random.ts';
import { KEY_BLOCK, SECRETS } from '../helpers/secrets.ts';
import { frameOf } from '../messages.ts';

/** Data of the event that says one piece. */
const INTERFACES: Readonly<Record<string, (piece: string, number: number) => string>> = {
  'Anthropic, text': (text) => JSON.stringify({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
  'Anthropic, input of a tool': (text) => JSON.stringify({ type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: text } }),
  'OpenAI, chat': (content) => JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content }, finish_reason: null }] }),
  'OpenAI, arguments of a tool': (text) => JSON.stringify({ choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: text } }] } }] }),
  'OpenAI, responses': (delta, number) => JSON.stringify({ type: 'response.output_text.delta', item_id: 'm', content_index: 0, delta, sequence_number: number }),
  'Gemini, with spaces': (text) => JSON.stringify({ candidates: [{ content: { parts: [{ text }], role: 'model' } }] }, null, 1).replaceAll('\n', ''),
  'beyond ASCII, escaped': (text) => JSON.stringify({ text }).replaceAll('é', String.raw`\u00e9`),
  'no JSON': (text) => text.replaceAll('\n', ' '),
};

function cut(text: string, sizeOf: () => number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = sizeOf();
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

function sizes(random: Random): readonly (() => number)[] {
  return [() => 1, () => 3, () => 4, () => 7, () => 1 + random(12), () => 1000];
}

function streamOf(data: readonly string[]): TlsEvent[] {
  const events: TlsEvent[] = [];
  const position = { read: 0, write: 0 };
  const put = (direction: Direction, text: string): void => {
    const bytes = Buffer.from(text);
    events.push(chunk({ direction, bytes, position: position[direction], timeMs: events.length }));
    position[direction] += bytes.length;
  };
  put('write', 'POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  put('read', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
  for (const one of data) {
    const event = `event: x\ndata: ${one}\n\n`;
    put('read', `${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
  }
  put('read', '0\r\n\r\n');
  return events;
}

/** What all pieces say, one after the other, as a reader of the events sees it. */
function saidBy(derived: readonly Record<string, unknown>[]): string {
  return derived.filter((one) => one['source'] === 'sse').map((one) => {
    const data = String(one['data']);
    const match = /"(?:text|partial_json|content|arguments|delta)": ?"((?:[^"\\]|\\.)*)"/.exec(data);
    return match === null ? data : match[1];
  }).join('');
}

/** No six characters of the part that nobody can guess. */
function expectNothingOf(secret: string, text: string, where: string): void {
  for (let at = 0; at + 6 <= secret.length; at++) expect(text.includes(secret.slice(at, at + 6)), `${where}: ${secret.slice(at, at + 6)} of ${secret} in ${text}`).toBe(false);
}

/** What the corpus draws at random, in upper case for keys that have it alone. */
const DRAWN = /(?:Zq7Xw2Kd|ZQ7XW2KD)[A-Za-z0-9]*/g;

/** What stands before it: a word, a quote that JSON escapes, a character beyond ASCII and a line end. */
const BEFORE = ['The key is ', 'use "', 'été: \n'];

describe.each(Object.keys(INTERFACES))('%s', (name) => {
  const dataOf = INTERFACES[name] as (typeof INTERFACES)[string];

  it.each(SECRETS)('hides $text however it is spelled', ({ kind, text }) => {
    const random = generator(7);
    const assigned = kind === 'named' ? `SERVICE_API_KEY=${text}` : text;
    for (const [index, sizeOf] of sizes(random).entries()) {
      const before = BEFORE[index % BEFORE.length] ?? '';
      const pieces = cut(`Well, ${before}${assigned} and that is all.`, sizeOf);
      const input = streamOf(pieces.map(dataOf));
      const live = analyze(input, { locateSecrets });
      const raw = analyze(input, { locateSecrets, raw: true });
      const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : []))).toString('latin1');
      const where = JSON.stringify(pieces);
      for (const drawn of text.match(DRAWN) ?? []) {
        expectNothingOf(drawn, saidBy(live.derived), where);
        expectNothingOf(drawn, written, where);
        expectNothingOf(drawn, JSON.stringify(live.derived), where);
      }
      expect(saidBy(live.derived)).toContain('Well, ');
      expect(saidBy(live.derived)).toMatch(/ and that is all\.$/);
      expect(raw.derived).toEqual(live.derived);
      expect(analyze(raw.chunks, { locateSecrets }).derived).toEqual(live.derived);
    }
  });
});

describe('what is spelled', () => {
  const dataOf = INTERFACES['Anthropic, text'] as (typeof INTERFACES)[string];

  it('is told by the name that it has elsewhere, in the event after its last piece and in the exchange', () => {
    const key = SECRETS[0]?.text as string;
    const locate = createSecretLocator((secret) => Buffer.from(secret).toString('hex'));
    const name = `anthropic:${Buffer.from(key).toString('hex')}`;
    for (const size of [1, 5, 9]) {
      const { derived } = analyze(streamOf(cut(`It is ${key}, keep it.`, () => size).map(dataOf)), { locateSecrets: locate });
      expect(derived.flatMap((one) => (one['source'] === 'sse' ? one['secrets'] ?? [] : []))).toEqual([name]);
      expect(derived.at(-1)).toMatchObject({ source: 'http', secrets: [name] });
    }
  });

  it('may be a private key', () => {
    for (const size of [1, 4, 50]) {
      const { derived } = analyze(streamOf(cut(`Here:\n${KEY_BLOCK}That was it.`, () => size).map(dataOf)), { locateSecrets });
      expectNothingOf(/MII\w+/.exec(KEY_BLOCK)?.[0] as string, saidBy(derived), String(size));
      expect(saidBy(derived)).toContain('PRIVATE KEY-----\\nThat was it.');
    }
  });

  it('may be longer than what is kept of it', () => {
    const random = generator(3);
    const long = Array.from({ length: 6000 }, () => 'ABCDEFGHijklmnop0123456789'[random(26)]).join('');
    for (const before of ['eyJhbGciOiJIUzI1NiJ9.', 'password="', 'sk-ant-']) {
      const { derived } = analyze(streamOf(cut(`${before}${long}" is over`, () => 5).map(dataOf)), { locateSecrets });
      expectNothingOf(long, saidBy(derived), before);
      expect(saidBy(derived)).toMatch(/ is over$/);
    }
  });

  it('is no secret in prose and code that only looks like one at first', () => {
    const text = 'Call hf_hub_download or npm_config_get, use sk-learn; `password: string` and "token": null, a Bearer token, https://localhost:port/x and '
      + 'task-based AKI names, api_key=None? No: xai-org, gsk_.';
    for (const size of [1, 3, 6]) {
      const shown = saidBy(analyze(streamOf(cut(text, () => size).map(dataOf)), { locateSecrets }).derived);
      const whole = saidBy(analyze(streamOf([dataOf(text, 0)]), { locateSecrets }).derived);
      expect(shown.length).toBe(whole.length);
      expect(shown).toBe(whole);
    }
  });

  it('is hidden in a stream that is compressed', () => {
    const key = SECRETS[0]?.text as string;
    const body = gzipSync(cut(`It is ${key}, keep it.`, () => 4).map((piece) => `data: ${dataOf(piece, 0)}\n\n`).join(''));
    const { derived } = analyze([
      chunk({ direction: 'write', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), position: 0, timeMs: 0 }),
      chunk({ direction: 'read', bytes: Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`), body]), position: 0, timeMs: 1 }),
    ], { locateSecrets });
    expectNothingOf(key.slice(13), JSON.stringify(derived), 'gzip');
  });

  it('is hidden in a body of JSON lines', () => {
    const key = SECRETS[0]?.text as string;
    const body = cut(`It is ${key}, keep it.`, () => 4).map((content) => `${JSON.stringify({ model: 'm', message: { role: 'assistant', content }, done: false })}\n`).join('');
    const { derived: [exchange] } = analyze([
      chunk({ direction: 'write', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), position: 0, timeMs: 0 }),
      chunk({ direction: 'read', bytes: Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${body.length}\r\n\r\n${body}`), position: 0, timeMs: 1 }),
    ], { locateSecrets });
    const said = [...String(exchange?.['response_body']).matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece).join('');
    expectNothingOf(key.slice(13), said, 'lines');
    expect(said).toMatch(/^It is sk-ant-.*, keep it\.$/);
  });

  it('is hidden in the messages of a WebSocket', () => {
    const key = SECRETS[0]?.text as string;
    const input: TlsEvent[] = [];
    const position = { read: 0, write: 0 };
    const put = (direction: Direction, bytes: Buffer): void => {
      input.push(chunk({ direction, bytes, position: position[direction], timeMs: input.length }));
      position[direction] += bytes.length;
    };
    put('write', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n'));
    put('read', Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'));
    for (const piece of cut(`It is ${key}, keep it.`, () => 4)) {
      put('read', frameOf(0x81, Buffer.from(JSON.stringify({ type: 'response.text.delta', delta: piece })), { key: null }));
    }
    const live = analyze(input, { locateSecrets });
    const raw = analyze(input, { locateSecrets, raw: true });
    const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : []))).toString('latin1');
    for (const text of [written, JSON.stringify(live.derived), JSON.stringify(raw.derived)]) expectNothingOf(key.slice(13), text, 'websocket');
    expect(live.derived.filter((one) => one['source'] === 'websocket').length).toBeGreaterThan(10);
    expect(JSON.stringify(live.derived)).toContain('It i');
    expect(analyze(raw.chunks, { locateSecrets }).derived).toEqual(live.derived);
  });
});
