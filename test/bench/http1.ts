/**
 * HTTP/1 in one thread, bodies of 16 KiB and small messages of a kept connection: the parser alone, beside the best one of npm that is
 * written in JavaScript and tells the same (heads as lists of fields, where bodies are), and the whole operator, which makes
 * exchanges and their text. Node's own parser has no public face.
 */
import { HTTPParser } from 'http-parser-js';
import { from } from 'rxjs';
import { http } from '../../analyzers/http.ts';
import { framingOf } from '../../analyzers/http1/framing.ts';
import { parseHead } from '../../analyzers/http1/head.ts';
import { createHttp1Parser, feed } from '../../analyzers/http1/parser.ts';
import type { TlsEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunkOf, createLane } from './chunks.ts';
import type { Bench, BenchContext, Figure } from './figure.ts';
import { cpuMsOf } from './side-by-side.ts';

const BODY_BYTES = 16 * 1024;
const CHUNKS_PER_BODY = 4;
const BODIES = 2000;
const SMALL = 20_000;
const MB = 1e6;
const PEER = 'http-parser-js on the same bytes';

export const http1Bench: Bench = {
  name: 'http1',
  about: `HTTP/1 in one thread: ${BODIES.toLocaleString('en')} bodies of 16 KiB, by length and in chunks, ${SMALL.toLocaleString('en')} small exchanges`,
  run: async (context) => [
    ...await bodyFigures('by length', traffic(context.rounds(BODIES), () => response(bodyText()))),
    ...await bodyFigures('in chunks', traffic(context.rounds(BODIES), () => chunkedResponse(bodyText()))),
    ...await smallFigures(context),
  ],
};

interface Traffic {
  readonly events: readonly TlsEvent[];
  /** Of each direction, a call of the program each. */
  readonly requests: readonly Buffer[];
  readonly responses: readonly Buffer[];
}

function bodyText(): Buffer {
  return Buffer.alloc(BODY_BYTES, 'a line of a body that a model might write, with words and numbers 123 \n');
}

function request(number: number): Buffer {
  return Buffer.from(`GET /v1/items/${number} HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n`);
}

function response(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
}

function chunkedResponse(body: Buffer): Buffer {
  const size = body.length / CHUNKS_PER_BODY;
  const chunks = Array.from({ length: CHUNKS_PER_BODY }, (_, i) => [Buffer.from(`${size.toString(16)}\r\n`), body.subarray(i * size, (i + 1) * size), Buffer.from('\r\n')]);
  return Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\nTransfer-Encoding: chunked\r\n\r\n'), ...chunks.flat(), Buffer.from('0\r\n\r\n')]);
}

function traffic(exchanges: number, respond: (number: number) => Buffer): Traffic {
  const write = createLane('write');
  const read = createLane('read');
  const requests = Array.from({ length: exchanges }, (_, number) => request(number));
  const responses = requests.map((_, number) => respond(number));
  return { requests, responses, events: requests.flatMap((bytes, number) => [chunkOf(write, bytes), chunkOf(read, responses[number] as Buffer)]) };
}

async function bodyFigures(framed: string, all: Traffic): Promise<Figure[]> {
  const megabytes = all.events.reduce((sum, { data }) => sum + (data.event === 'DATA' ? data.len : 0), 0) / MB;
  const { parser, peer, operator } = await cpuMsOf(worksOf(all, BODY_BYTES));
  const rateOf = (ms: number): number => megabytes / (ms / 1000);
  const target = { kind: 'at least', value: 400 } as const;
  const figure = { bench: 'http1', unit: 'MB/s', target, floor: { value: rateOf(peer), what: PEER } };
  const answers = `each in one call, with its request of 4 lines`;
  return [
    { ...figure, name: `bodies ${framed}: parser`, value: rateOf(parser), method: `answers of 16 KiB ${framed}, ${answers}; CPU time, median` },
    { ...figure, name: `bodies ${framed}: operator`, value: rateOf(operator), method: 'the same through the operator, whose exchanges have the bodies as text, without redaction' },
  ];
}

async function smallFigures(context: BenchContext): Promise<Figure[]> {
  const body = Buffer.from('{"ok":true}');
  const all = traffic(context.rounds(SMALL), () => response(body));
  const { parser, peer, operator } = await cpuMsOf(worksOf(all, body.length));
  const rateOf = (ms: number): number => all.events.length / (ms / 1000);
  const target = { kind: 'at least', value: 300_000 } as const;
  const figure = { bench: 'http1', unit: 'messages/s', target, floor: { value: rateOf(peer), what: PEER } };
  return [
    { ...figure, name: 'small messages: parser', value: rateOf(parser), method: 'requests and responses of 4 lines each, the latter with 11 bytes; CPU time, median' },
    { ...figure, name: 'small messages: operator', value: rateOf(operator), method: 'the same through the operator, which makes an exchange of two' },
  ];
}

type Works = Readonly<Record<'parser' | 'peer' | 'operator', () => void>>;

function worksOf({ events, requests, responses }: Traffic, bodyBytes: number): Works {
  const expected = { messages: events.length, bytes: bodyBytes * responses.length };
  return {
    parser: () => check('our parser', expected, add(parse(requests), parse(responses))),
    peer: () => check('http-parser-js', expected, add(parseWithPeer('REQUEST', requests), parseWithPeer('RESPONSE', responses))),
    operator: () => check('the operator', expected, analyze(events)),
  };
}

interface Found {
  messages: number;
  bytes: number;
}

function add(one: Found, other: Found): Found {
  return { messages: one.messages + other.messages, bytes: one.bytes + other.bytes };
}

function check(who: string, expected: Found, found: Found): void {
  if (found.messages !== expected.messages || found.bytes !== expected.bytes) throw new Error(`${who} found ${found.messages} messages with ${found.bytes} bytes instead of ${expected.messages} with ${expected.bytes}`);
}

function parse(calls: readonly Buffer[]): Found {
  const found: Found = { messages: 0, bytes: 0 };
  const ignore = (): void => undefined;
  const parser = createHttp1Parser({
    onStart: ignore, onHead: (kind, head) => framingOf(parseHead(head, kind), null),
    onBody: (_bytes, start, end) => { found.bytes += end - start; },
    onEnd: () => { found.messages++; },
    onMissing: ignore, onHole: () => false, onResumed: ignore, onUnsent: ignore, onTrailers: () => null, onFlag: ignore, onExtension: ignore, onLost: ignore, onFragment: ignore, onSkipped: ignore, onOpaque: ignore,
  }, LIMITS, false);
  let position = 0;
  for (const bytes of calls) {
    feed(parser, bytes, position, true);
    position += bytes.length;
  }
  return found;
}

function parseWithPeer(kind: 'REQUEST' | 'RESPONSE', calls: readonly Buffer[]): Found {
  const found: Found = { messages: 0, bytes: 0 };
  const parser = new HTTPParser(kind);
  parser.onHeadersComplete = () => undefined;
  parser.onBody = (_bytes, _start, length) => { found.bytes += length; };
  parser.onMessageComplete = () => { found.messages++; };
  for (const bytes of calls) {
    const told = parser.execute(bytes);
    if (told instanceof Error) throw told;
  }
  return found;
}

function analyze(events: readonly TlsEvent[]): Found {
  const found: Found = { messages: 0, bytes: 0 };
  from(events).pipe(http({ nextId: () => '' })).subscribe(({ source, data }) => {
    if (source !== 'http' || data.state !== 'complete') return;
    found.messages += 2;
    found.bytes += data.response_body?.length ?? 0;
  });
  return found;
}
