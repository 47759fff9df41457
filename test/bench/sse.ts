/**
 * Event streams in one thread, as a model writes its answer: the parser alone, beside the best one of npm, and the whole
 * operator, which reads the chunks of the response that they come in and makes an event of each.
 */
import { StringDecoder } from 'node:string_decoder';
import { createParser } from 'eventsource-parser';
import { from } from 'rxjs';
import { http } from '../../analyzers/http.ts';
import { createBlockSplitter, split } from '../../analyzers/sse/blocks.ts';
import { createSseParser, parseBlock } from '../../analyzers/sse/parser.ts';
import type { TlsEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunkOf, createLane } from './chunks.ts';
import type { Bench, Figure } from './figure.ts';
import { cpuMsOf } from './side-by-side.ts';

const EVENTS = 200_000;
const PIECE_BYTES = 16 * 1024;
/** Each event comes by a call of its own: that is what servers do. */
const EVENTS_PER_STREAM = 1000;
const WORDS = ['the', ' answer', ' is', ' a', ' word', ' of', ' some', ' length', ',\\n', ' été'];

export const sseBench: Bench = {
  name: 'sse',
  about: `event streams in one thread: ${EVENTS.toLocaleString('en')} events of some 120 bytes`,
  async run(context) {
    const events = Array.from({ length: context.rounds(EVENTS) }, (_, number) => eventText(number));
    const pieces = piecesOf(Buffer.from(events.join('')));
    const chunks = chunksOf(events);
    const expected = events.length;
    const taken = await cpuMsOf({
      parser: () => check('our parser', expected, parse(pieces)),
      peer: () => check('eventsource-parser', expected, parseWithPeer(pieces)),
      operator: () => check('the operator', expected, analyze(chunks)),
    });
    return figuresOf(events.length, taken);
  },
};

function eventText(number: number): string {
  return `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${WORDS[number % WORDS.length]}"}}\n\n`;
}

function piecesOf(bytes: Buffer): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES) }, (_, i) => bytes.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES));
}

function chunksOf(events: readonly string[]): readonly TlsEvent[] {
  const write = createLane('write');
  const read = createLane('read');
  return events.flatMap((event, number) => {
    const place = number % EVENTS_PER_STREAM;
    const isLast = place === EVENTS_PER_STREAM - 1 || number === events.length - 1;
    const begin = place > 0 ? [] : [
      chunkOf(write, Buffer.from('POST /v1/messages HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 0\r\n\r\n')),
      chunkOf(read, Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')),
    ];
    return [...begin, chunkOf(read, Buffer.from(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`)), ...(isLast ? [chunkOf(read, Buffer.from('0\r\n\r\n'))] : [])];
  });
}

function figuresOf(events: number, { parser, peer, operator }: Readonly<Record<'parser' | 'peer' | 'operator', number>>): readonly Figure[] {
  const rateOf = (ms: number): number => events / (ms / 1000);
  const figure = { bench: 'sse', unit: 'events/s', target: { kind: 'at least', value: 1_000_000 }, floor: { value: rateOf(peer), what: 'eventsource-parser on the same bytes, made text by StringDecoder' } } as const;
  return [
    { ...figure, name: 'parser', value: rateOf(parser), method: 'pieces of 16 KiB, cut anywhere; CPU time, median' },
    { ...figure, name: 'operator', value: rateOf(operator), method: `the same in chunks of responses, a call each, ${EVENTS_PER_STREAM.toLocaleString('en')} in a response, without redaction` },
  ];
}

function check(who: string, expected: number, found: number): void {
  if (found !== expected) throw new Error(`${who} found ${found} events instead of ${expected}`);
}

function parse(pieces: readonly Buffer[]): number {
  let count = 0;
  const parser = createSseParser();
  const blocks = createBlockSplitter(LIMITS.sseEventBytes, ({ bytes }) => {
    if (parseBlock(parser, bytes)?.event === 'content_block_delta') count++;
  });
  for (const piece of pieces) split(blocks, piece, 0, piece.length);
  return count;
}

function parseWithPeer(pieces: readonly Buffer[]): number {
  let count = 0;
  const decoder = new StringDecoder('utf8');
  const parser = createParser({
    onEvent({ event }) {
      if (event === 'content_block_delta') count++;
    },
  });
  for (const piece of pieces) parser.feed(decoder.write(piece));
  return count;
}

function analyze(chunks: readonly TlsEvent[]): number {
  let count = 0;
  from(chunks).pipe(http({ nextId: () => '' })).subscribe(({ source, data }) => {
    if (source === 'sse' && data.event === 'content_block_delta') count++;
  });
  return count;
}
