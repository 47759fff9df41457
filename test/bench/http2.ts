/**
 * HTTP/2 through the http operator in one thread: bodies in DATA frames of 16 KiB, and small
 * exchanges with their header blocks. Beside it, in the same run, what Node's own client takes to read the same responses
 * (nghttp2, in C), and hpack.js the header blocks. npm has no parser of frames that is kept: `http2` 3.3.7 is for Node 8 and before, and that of spdy-transport as old.
 */
import { once } from 'node:events';
import { connect } from 'node:http2';
import { Duplex, type Readable } from 'node:stream';
import hpack from 'hpack.js';
import { from } from 'rxjs';
import { http } from '../../analyzers/http.ts';
import { decodeBlock } from '../../analyzers/http2/hpack.ts';
import { createTable } from '../../analyzers/http2/table.ts';
import type { TlsEvent } from '../../src/event.ts';
import { blockOf, frame } from '../frames.ts';
import { chunkOf, createLane } from './chunks.ts';
import type { Bench, Figure } from './figure.ts';
import { cpuMsOf } from './side-by-side.ts';

const DATA_BYTES = 16 * 1024;
const FRAMES_PER_BODY = 64;
const BODIES = 100;
const SMALL = 20_000;
const MB = 1e6;
/** As much as a window can be (RFC 9113 §6.9.1): nothing waits for it. */
const WINDOW_BYTES = 2 ** 31 - 1;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const http2Bench: Bench = {
  name: 'http2',
  about: `HTTP/2 in one thread: ${BODIES} bodies of 1 MiB in frames of 16 KiB, ${SMALL.toLocaleString('en')} small exchanges`,
  run: async () => [await bodyFigure(), await smallFigure(), await hpackFigure()],
};

function request(stream: number): Buffer {
  return frame(1, 5, stream, blockOf([':method: GET', `~:path: /v1/items/${stream}`, '~:authority: api.example.com', '~user-agent: bench/1.0', 'accept: */*']));
}

function response(stream: number, ...more: string[]): Buffer {
  return frame(1, 4, stream, blockOf([':status: 200', '~content-type: application/json', '~server: bench', ...more]));
}

function bodies(): TlsEvent[] {
  const write = createLane('write');
  const read = createLane('read');
  const text = Buffer.alloc(DATA_BYTES, 'a line of a body that a model might write, with words and numbers 123 \n');
  const length = `content-length: ${FRAMES_PER_BODY * DATA_BYTES}`;
  const events = [chunkOf(write, PREFACE)];
  for (let body = 0; body < BODIES; body++) {
    const stream = 2 * body + 1;
    events.push(chunkOf(write, request(stream)), chunkOf(read, response(stream, length)));
    for (let i = 0; i < FRAMES_PER_BODY; i++) events.push(chunkOf(read, frame(0, i === FRAMES_PER_BODY - 1 ? 1 : 0, stream, text)));
  }
  return events;
}

function small(): TlsEvent[] {
  const write = createLane('write');
  const read = createLane('read');
  const events = [chunkOf(write, PREFACE)];
  for (let i = 0; i < SMALL; i++) {
    const stream = 2 * i + 1;
    events.push(chunkOf(write, request(stream)), chunkOf(read, Buffer.concat([response(stream), frame(0, 1, stream, Buffer.from('{"ok":true}'))])));
  }
  return events;
}

function analyze(events: readonly TlsEvent[], expected: number): void {
  let exchanges = 0;
  from(events).pipe(http({ nextId: () => '' })).subscribe(({ source, data }) => {
    if (source === 'http' && data.state === 'complete') exchanges++;
  });
  if (exchanges !== expected) throw new Error(`${exchanges} exchanges of ${expected} are complete`);
}

async function bodyFigure(): Promise<Figure> {
  const events = bodies();
  const bytes = events.reduce((sum, { data }) => sum + (data.event === 'DATA' ? data.len : 0), 0);
  const responses = events.flatMap(({ data }) => (data.event === 'DATA' && data.direction === 'read' ? [Buffer.from(data.payload)] : []));
  const taken = await cpuMsOf({ ours: () => analyze(events, BODIES), peer: () => readWithNode(responses) });
  const rateOf = (ms: number): number => bytes / MB / (ms / 1000);
  return {
    bench: 'http2', name: 'DATA of 16 KiB', value: rateOf(taken.ours), unit: 'MB/s', target: { kind: 'at least', value: 250 },
    floor: { value: rateOf(taken.peer), what: "Node's own client (nghttp2) on the same responses, text made of them" },
    method: 'bodies of 1 MiB in exchanges, text made of them, without redaction; CPU time, median',
  };
}

/** The bytes of a server, as its client has them from its socket. */
async function readWithNode(responses: readonly Buffer[]): Promise<void> {
  const wire = new Duplex({ read: () => undefined, write: (_bytes, _encoding, done) => done() });
  const session = connect('http://127.0.0.1', { createConnection: () => wire, settings: { initialWindowSize: WINDOW_BYTES }, peerMaxConcurrentStreams: BODIES });
  session.once('connect', () => session.setLocalWindowSize(WINDOW_BYTES));
  const texts = Promise.all(Array.from({ length: BODIES }, () => textOf(session.request({ ':path': '/' }))));
  wire.push(frame(4, 0, 0, Buffer.alloc(0)));
  for (const bytes of responses) wire.push(bytes);
  const lengths = (await texts).map(({ length }) => length);
  session.destroy();
  if (lengths.some((length) => length !== FRAMES_PER_BODY * DATA_BYTES)) throw new Error("Node's client did not read all bodies");
}

async function textOf(stream: Readable): Promise<string> {
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  await once(stream, 'end');
  return Buffer.concat(parts).toString();
}

async function smallFigure(): Promise<Figure> {
  const events = small();
  const { ours } = await cpuMsOf({ ours: () => analyze(events, SMALL) });
  return {
    bench: 'http2', name: 'small exchanges', value: SMALL / (ours / 1000), unit: '/s', target: null, floor: null,
    method: 'a request of 5 fields and a response of 3 with 11 bytes, Huffman coded; CPU time, median',
  };
}

async function hpackFigure(): Promise<Figure> {
  const blocks = Array.from({ length: SMALL }, (_, i) =>
    blockOf([':method: GET', `~:path: /v1/items/${i}`, '~:authority: api.example.com', '~user-agent: bench/1.0', 'accept: */*']));
  const table = createTable(65_536, { limit: 65_536, used: 0 }, true);
  const peer = hpack.decompressor.create({ table: { maxSize: 65_536 } });
  const taken = await cpuMsOf({
    ours: () => eachOf(blocks, (block) => decodeBlock(table, block, null)?.length),
    peer: () => eachOf(blocks, (block) => decodeWithPeer(peer, block)),
  });
  const rateOf = (ms: number): number => SMALL / (ms / 1000);
  return {
    bench: 'http2', name: 'header blocks', value: rateOf(taken.ours), unit: '/s', target: null, floor: { value: rateOf(taken.peer), what: 'hpack.js on the same blocks' },
    method: '5 fields of which 3 are Huffman coded; CPU time, median',
  };
}

function eachOf(blocks: readonly Buffer[], decode: (block: Buffer) => number | undefined): void {
  for (const block of blocks) {
    if (decode(block) !== 5) throw new Error('a block was not decoded');
  }
}

function decodeWithPeer(peer: ReturnType<typeof hpack.decompressor.create>, block: Buffer): number {
  let fields = 0;
  peer.write(block);
  peer.execute();
  while (peer.read() !== null) fields++;
  return fields;
}
