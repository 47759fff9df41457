/**
 * Parsers with what fuzzing needs of each: inputs that it can read, and one run over bytes, which throws where the parser
 * throws, or passes a bound. The unit tests run each for a moment, `npm run fuzz` as long as it is told.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { readMessage } from '../../analyzers/grpc/protobuf.ts';
import { decodeBlock } from '../../analyzers/http2/hpack.ts';
import { createTable } from '../../analyzers/http2/table.ts';
import { createMessageReader, readMessages } from '../../analyzers/jsonrpc/framing.ts';
import { locateSecrets } from '../../analyzers/redact/locate.ts';
import { translateHttpFilter } from '../../analyzers/where/agentsight.ts';
import { translateSslFilter } from '../../analyzers/where/agentsight-ssl.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import { parseClientHello } from '../../src/decode/client-hello.ts';
import { parseDns } from '../../src/decode/dns.ts';
import { AgentsightError } from '../../src/errors.ts';
import { parseLine } from '../../src/event-parse.ts';
import type { TlsEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { analyze, chunk, readCases } from '../cases.ts';
import { ROOT } from './files.ts';
import { runFrames, runInflater, runMcp, runSecrets, runSpoken, runTranslation } from './fuzz-runs.ts';
import { generator, type Random } from './random.ts';
import { KEY_BLOCK, SECRETS } from './secrets.ts';

export interface FuzzParser {
  readonly name: string;
  readonly corpus: readonly Buffer[];
  run(input: Buffer, random: Random): void;
}

/** Small enough to be met often. */
const BODY_BYTES = 1000;
const EVENT_BYTES = 500;
const HEAD_BYTES = 2000;
const MESSAGE_BYTES = 300;
const HPACK_BYTES = 4096;

const HELLO = `160301006a010000660303${'11'.repeat(32)}00000213010100003b0000000e000c0000096c6f63616c686f73740010000e000c02683208687474702f312e31002b0003020304000a00040002001d000d000400020403`;
const DNS = 'abcd818000010001000000000765786d61706c6503636f6d0000010001c00c000100010000003c00045db8d822';

const RPC = bytesOf(
  '{"jsonrpc":"2.0","id":1,"method":"x"}\n', 'Content-Length: 36\r\n\r\n{"jsonrpc":"2.0","id":1,"result":{}}', 'a line of a log\n', '[{"jsonrpc":"2.0","method":"y","params":{"token":"abcdefgh"}}]\n',
);
const HTTP_FILTERS = bytesOf('request.path_prefix=/v1 & request.host=a.example', 'response.status_code=404 | request.method=OPTIONS', '/health', 'res.x-a=b', 'response.body=', 'beta=true');
const SSL_FILTERS = bytesOf('data=0\\r\\n\\r\\n|data.type=binary', '(comm=node | comm=bun) & data~a=b', 'len>=100 & function=READ/RECV', 'is_handshake!=true', 'timestamp_ns<5', 'truncated=false');
const SPOKEN = bytesOf('*1\r\n$4\r\nPING\r\n', 'SET a b\r\n', '+OK\r\n', 'J\0\0\0\n8.0.36\0', '\0\0\0\x08\x04\xd2\x16\x2f', '\0\0\0\x20\0\x03\0\0user\0');

export const FUZZ_PARSERS: readonly FuzzParser[] = [
  ...['http', 'http2', 'sse', 'coding'].map((name) => ({ name, corpus: blocksOf(name), run: (input: Buffer, random: Random) => runTraffic(input, random) })),
  { name: 'websocket', corpus: blocksOf('websocket'), run: runTalk },
  { name: 'websocket-frames', corpus: blocksOf('websocket'), run: runFrames },
  { name: 'inflater', corpus: ['hello '.repeat(30), '{"type":"delta"}', '\0'.repeat(50_000)].map((text) => deflateRawSync(text)), run: runInflater },
  { name: 'mcp', corpus: RPC, run: runMcp },
  { name: 'secrets', corpus: secretTexts(), run: runSecrets },
  { name: 'agentsight-http-filter', corpus: HTTP_FILTERS, run: (input) => refused(() => translateHttpFilter(input.toString('utf8')).expression, runTranslation) },
  { name: 'agentsight-ssl-filter', corpus: SSL_FILTERS, run: (input) => refused(() => translateSslFilter(input.toString('utf8')).expression, runTranslation) },
  { name: 'spoken', corpus: [...SPOKEN, fromHex(DNS)], run: runSpoken },
  { name: 'hpack', corpus: blocksOf('http2'), run: (input) => void decodeBlock(createTable(HPACK_BYTES, { limit: HPACK_BYTES, used: 0 }, true), input, null) },
  { name: 'protobuf', corpus: ['089601', '1a03089601', '120774657374696e67', '0d0000803f'].map(fromHex), run: (input) => void readMessage(input, LIMITS) },
  { name: 'json-rpc', corpus: RPC, run: runMessages },
  { name: 'dns', corpus: [fromHex(DNS)], run: (input) => void parseDns(input) },
  { name: 'client-hello', corpus: [fromHex(HELLO)], run: (input) => void parseClientHello(input) },
  { name: 'event', corpus: lines(), run: (input) => refused(() => parseLine(input.toString('utf8'))) },
  {
    name: 'where', corpus: ['source = http AND status >= 400', 'NOT (path ~ "^/v1" OR host ^= api)', 'status in (1, 2)', "comm != 'a b'"].map((text) => Buffer.from(text)),
    run: (input) => refused(() => parseWhere(input.toString('utf8'))),
  },
];

/** One input of the parser, the same for a seed in every run: pieces of what it reads, cut, repeated and damaged. */
export function fuzzInput({ corpus }: FuzzParser, random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let count = 1 + random(5); count > 0; count--) {
    const whole = corpus[random(corpus.length)] ?? Buffer.alloc(0);
    const part = Buffer.from(random(3) > 0 ? whole : whole.subarray(random(whole.length), random(whole.length)));
    for (let flips = random(3) === 0 ? random(6) : 0; flips > 0 && part.length > 0; flips--) part[random(part.length)] = random(256);
    parts.push(part);
    if (random(8) === 0) parts.push(Buffer.from(Array.from({ length: random(40) }, () => random(256))));
  }
  return Buffer.concat(parts);
}

/** Throws where the parser breaks a promise. */
export function fuzzOnce(parser: FuzzParser, seed: number): void {
  const random = generator(seed);
  parser.run(fuzzInput(parser, random), random);
}

function bytesOf(...texts: readonly string[]): readonly Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'));
}

/** Each in the places that are looked at, and what stands around them alone. */
function secretTexts(): readonly Buffer[] {
  return bytesOf(
    'POST /v1?access_token=', 'x-api-key: ', '\r\nAuthorization: Bearer ', '{"api_key":"', '"', '\n', '&password=', 'https://user:', '@host/', 'export TOKEN=', 'Cookie: a=', '--password ', KEY_BLOCK,
    ...SECRETS.map(({ text }) => text),
  );
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

function blocksOf(name: string): Buffer[] {
  return readCases(name).flatMap(({ blocks }) => blocks.map(({ bytes }) => bytes)).filter(({ length }) => length > 0);
}

function lines(): Buffer[] {
  return readFileSync(join(ROOT, 'test/captures/demo.jsonl'), 'latin1').split('\n').slice(0, 200).filter((line) => line !== '').map((line) => Buffer.from(line, 'latin1'));
}

/** As chunks of one connection, in both directions, with gaps. Every chunk must leave, and no event may be larger than the limits. */
function runTraffic(input: Buffer, random: Random, events: TlsEvent[] = []): void {
  const next = { read: random(8) === 0 ? 50 : 0, write: 0 };
  for (const { data } of events) {
    if (data.event === 'DATA') next[data.direction] = data.position + data.len;
  }
  for (let at = 0; at < input.length;) {
    const direction = random(2) === 0 ? 'read' : 'write';
    const bytes = input.subarray(at, at + 1 + random(400));
    if (random(20) === 0) next[direction] += random(60);
    events.push(chunk({ direction, bytes, position: next[direction], timeMs: events.length }));
    next[direction] += bytes.length;
    at += bytes.length;
  }
  const limits = { ...LIMITS, httpBodyBytes: BODY_BYTES, sseEventBytes: EVENT_BYTES, httpHeadBytes: HEAD_BYTES };
  const { chunks, derived } = analyze(events, { limits, locateSecrets, raw: random(2) === 0 });
  if (chunks.length !== events.length) throw new Error(`${events.length} chunks came and ${chunks.length} left`);
  for (const one of derived) {
    for (const part of ['request', 'response']) {
      const text = one[`${part}_body`];
      const encoding = one[`${part}_body_encoding`] === 'base64' ? 'base64' : 'utf8';
      if (typeof text === 'string' && Buffer.from(text, encoding).length > BODY_BYTES) throw new Error(`the ${part} has a body over the limit`);
    }
    if (one['source'] === 'websocket' && Buffer.from(String(one['body'] ?? ''), one['body_encoding'] === 'base64' ? 'base64' : 'utf8').length > BODY_BYTES) throw new Error('a message is over the limit');
    if (one['source'] === 'sse' && Buffer.byteLength(String(one['data'])) > 3 * EVENT_BYTES) throw new Error('an event of a stream is over the limit');
  }
}

/** After a handshake. */
function runTalk(input: Buffer, random: Random): void {
  const deflate = ['', 'Sec-WebSocket-Extensions: permessage-deflate\r\n', 'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n'][random(3)] ?? '';
  runTraffic(input, random, [
    chunk({ direction: 'write', position: 0, bytes: Buffer.from('GET /live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n') }),
    chunk({ direction: 'read', position: 0, bytes: Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${deflate}\r\n`) }),
  ]);
}

function runMessages(input: Buffer, random: Random): void {
  const reader = createMessageReader(MESSAGE_BYTES, {
    onText({ length }) {
      if (length > MESSAGE_BYTES) throw new Error(`a message of ${length} bytes is over the limit`);
    },
    onDropped() {},
  });
  for (let at = 0; at < input.length;) {
    const bytes = input.subarray(at, at + 1 + random(100));
    readMessages(reader, bytes);
    at += bytes.length;
  }
}

/** What is no input of the parser must be refused with an error of ours. */
function refused<T>(parse: () => T, check: (parsed: T) => void = () => {}): void {
  let parsed: T;
  try {
    parsed = parse();
  } catch (error) {
    if (!(error instanceof AgentsightError)) throw error;
    return;
  }
  check(parsed);
}
