/**
 * HTTP/2 on one connection (RFC 9113): what its frames say about streams, and
 * the header tables of both directions. Joined in its middle, or after a gap, it
 * goes on at the next boundary of frames that it can prove; a body whose head was
 * not seen is kept all the same.
 */
import type { Direction, HeaderList, SecretMarks } from '../../src/event.ts';
import { BAD_HEAD, PREFACE, errorName } from '../http2/frame.ts';
import { type Secrets, decodeBlock } from '../http2/hpack.ts';
import { BAD_BLOCK, type Block, type FrameHandler, type FrameParser, createFrameParser, feed, finish, skip } from '../http2/parser.ts';
import { type Field, type Table, createTable, loseEntries } from '../http2/table.ts';
import type { Head } from '../http1/head.ts';
import { ownBytes } from './body.ts';
import { type Carrier, type Channel, carrierOf } from './channel.ts';
import { type Exchange, addInterim } from './exchange.ts';
import { headOf, kindOf, listOf, missingHead } from './head2.ts';
import { countMasked } from './mask.ts';
import { type Message, addBody, addSecrets, createMessage, endMessage, missBody, openStream, openStreamMidway } from './message.ts';
import type { Protocol } from './protocol.ts';
import { createSettled } from './settled.ts';
import { type Sniff, createSniff, sniff } from './sniff.ts';
import {
  type Stream, type Streams, close, closeAll, closeWhenDone, endSide, isClosed, openStreamOf, opposite, ownerOf, suspectAll, tunnelWhenGranted,
} from './streams.ts';
import { eachWireRange } from './wire-map.ts';

interface Lane {
  readonly direction: Direction;
  readonly parser: FrameParser;
  readonly table: Table;
  /** Carried the first byte of the frame being read. */
  first: Carrier;
  /** Looks whether the DATA frame being read begins an event of a stream, where no head says so. */
  sniffing: Sniff | null;
}

interface Http2 {
  readonly channel: Channel;
  readonly streams: Streams;
  readonly lanes: { read: Lane | null; write: Lane | null };
  /** Position in each direction at which HTTP/2 begins, where it began as HTTP/1. */
  readonly from: Record<Direction, number | null>;
}

const NO_HEAD = 'head not captured';

export interface Http2Start {
  /** The direction of requests, where the first bytes told. */
  readonly client: Direction | null;
  /** The exchange that asked for HTTP/2 on a connection of HTTP/1; its response is that of stream 1. */
  readonly upgraded: Exchange | null;
}

export function createHttp2(channel: Channel, { client, upgraded }: Http2Start): Protocol {
  const { hold } = channel;
  const streams: Streams = {
    channel, settled: hold === null ? null : createSettled(channel, hold), open: new Map(), closed: new Set(), client,
    // Joined in the middle, both directions are.
    whole: { read: client !== null, write: client !== null }, goaway: null,
  };
  const http: Http2 = { channel, streams, lanes: { read: null, write: null }, from: { read: null, write: null } };
  const isUpgrade = upgraded !== null;
  if (upgraded?.request != null) {
    const { request, id } = upgraded;
    const stream = openStreamOf(streams, 1, { id });
    stream.messages[request.direction] = request;
    stream.interim.push(...upgraded.interim);
  }
  return {
    data(direction, bytes, position, fresh) {
      // The preface tells, where the other direction told nothing.
      if (position === 0 && bytes[0] === PREFACE[0]) streams.client ??= direction;
      feed(laneOf(http, direction, isUpgrade ? 0 : position).parser, bytes, position, fresh);
    },
    missing(direction, position, count, withheld) {
      skip(laneOf(http, direction, position).parser, position, count, withheld);
    },
    end(end) {
      for (const lane of [http.lanes.read, http.lanes.write]) {
        if (lane === null) continue;
        finish(lane.parser);
        loseEntries(lane.table);
      }
      closeAll(streams, end);
      hold?.settle('read', Number.MAX_SAFE_INTEGER);
      hold?.settle('write', Number.MAX_SAFE_INTEGER);
    },
  };
}

/** A direction whose first bytes are not there begins in the middle of a frame, and of the table. */
function laneOf(http: Http2, direction: Direction, position: number): Lane {
  const known = http.lanes[direction];
  if (known !== null) return known;
  const { channel, streams } = http;
  const { limits, tables } = channel.environment;
  const whole = position === 0;
  const start = !whole ? 'unknown' : streams.client === direction ? 'preface' : 'frame';
  if (!whole) suspectAll(streams, direction, NO_HEAD);
  const lane: Lane = {
    direction, parser: createFrameParser(createHandler(http, direction), limits, start),
    table: createTable(limits.hpackTableBytes, tables, whole), first: channel.carrier, sniffing: null,
  };
  http.lanes[direction] = lane;
  return lane;
}

function createHandler(http: Http2, direction: Direction): FrameHandler {
  const { channel, streams } = http;
  const { counters } = channel.environment;
  const lane = (): Lane => http.lanes[direction] as Lane;
  return {
    onFrame() {
      lane().first = carrierOf(channel.carrier);
    },
    onBlock: (block) => onBlock(http, lane(), block),
    onDataFrame(stream) {
      lane().sniffing = startData(http, lane(), stream);
    },
    onData: (stream, bytes, start, end, position) => onData(http, lane(), stream, { bytes, start, end, position }),
    onDataMissing: (stream, count, withheld, position) => onDataMissing(http, lane(), stream, { count, withheld, position }),
    onDataEnd(number, ended) {
      settleSniff(http, lane(), number);
      if (ended) endStream(http, lane(), number);
      else keepBody(http, direction, number);
    },
    onReset(number, code) {
      const stream = streams.open.get(number);
      if (stream !== undefined) close(streams, stream, `stream reset: ${errorName(code)}`);
    },
    onGoaway: (last, code) => onGoaway(http, direction, last, code),
    onBadHead(position) {
      counters.add('opaque_bytes', BAD_HEAD.length);
      // It may be text; and a capture must have something there that is no head either.
      if (!channel.environment.keepOpaque) channel.hold?.replace(direction, position, BAD_HEAD);
    },
    onLost(reason) {
      counters.add('resynchronised');
      lane().sniffing = null;
      loseEntries(lane().table);
      suspectAll(streams, direction, reason);
    },
    onUnread(from, to) {
      counters.add('opaque_bytes', to - from);
      channel.hold?.unread(direction, from, to);
    },
    onRead: (position) => streams.settled?.read(direction, position),
  };
}

function onBlock(http: Http2, lane: Lane, block: Block): void {
  const { streams } = http;
  const fields = readBlock(http, lane, block);
  const { direction } = lane;
  const number = block.promised === 0 ? block.stream : block.promised;
  if (isClosed(streams, number)) return;
  if (fields === null) {
    // Its stream is known, and that a head or trailers of it were here.
    const message = messageOf(http, lane, openStreamOf(streams, number));
    message.fault ??= block.fault;
  } else if (block.promised > 0) {
    onPromise(http, lane, number, fields);
    return;
  } else {
    const kind = kindOf(fields);
    if (kind !== null) streams.client ??= kind === 'request' ? direction : opposite(direction);
    onFields(http, lane, openStreamOf(streams, number), fields);
  }
  if (block.endStream) endStream(http, lane, number);
}

function readBlock(http: Http2, lane: Lane, block: Block): readonly Field[] | null {
  const { environment, hold } = http.channel;
  const { direction } = lane;
  const bytes = block.bytes.subarray(0, block.kept);
  const replace = (start: number, masked: Buffer): void => {
    eachWireRange(block.wire, start, start + masked.length, (from, to) => {
      hold?.replace(direction, from, masked.subarray(0, to - from));
      masked = masked.subarray(to - from);
    });
  };
  if (block.fault === null) {
    const secrets: Secrets | null = environment.locate === undefined ? null
      : { locate: (line) => environment.locate?.('head', line) ?? [], onMasked: replace };
    const fields = decodeBlock(lane.table, bytes, secrets);
    if (fields !== null) {
      const unknown = fields.filter(({ name }) => name === null).length;
      if (unknown > 0) environment.counters.add('hpack_unknown', unknown);
      return fields;
    }
    block.fault = BAD_BLOCK;
    environment.counters.add('hpack_errors');
    // So that nobody can read it in a capture either.
    if (!environment.keepOpaque) replace(0, Buffer.alloc(bytes.length, 0x80));
  } else {
    eachWireRange(block.wire, 0, block.kept, (from, to) => hold?.unread(direction, from, to));
    if (block.length > environment.limits.httpHeadBytes) environment.counters.add('heads_too_long');
  }
  loseEntries(lane.table);
  return null;
}

/** A head, or the trailers of the message that is there. */
function onFields(http: Http2, lane: Lane, stream: Stream, fields: readonly Field[]): void {
  const { streams } = http;
  const { direction } = lane;
  const there = stream.messages[direction];
  if (there !== null) {
    if (there.done) return;
    there.trailers = [...there.trailers, ...listOf(fields)];
    there.last = http.channel.carrier.timestamp;
    there.redacted += redactedIn(http, listOf(fields));
    addSecrets(stream.channel, there, secretsIn(fields));
    return;
  }
  if (stream.tunnel !== null) return;
  const kind = kindOf(fields) ?? (streams.client === null ? 'response' : streams.client === direction ? 'request' : 'response');
  const head = headOf(kind, fields);
  if (kind === 'response' && head.status >= 100 && head.status < 200) {
    addInterim(stream.channel, stream.interim, { head, redacted: redactedIn(http, head.list), secrets: secretsIn(fields) });
    return;
  }
  const message = begin(http, lane, stream, head, secretsIn(fields));
  stream.suspect[direction] = null;
  if (kind === 'response') openStream(stream.channel, message, ownerOf(streams, stream));
  tunnelWhenGranted(streams, stream);
}

function begin(http: Http2, lane: Lane, stream: Stream, head: Head, secrets: SecretMarks = []): Message {
  const from = { head, redacted: redactedIn(http, head.list) + (http.channel.environment.locate === undefined ? 0 : countMasked(Buffer.from(head.target))), secrets };
  const message = createMessage(stream.channel, lane.direction, from, lane.first, lengthOf(head));
  stream.messages[lane.direction] = message;
  return message;
}

/** What the head says of its body, or -1: worth room in memory, and no more. */
function lengthOf({ headers }: Head): number {
  const length = headers['content-length']?.[0];
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : -1;
}

function secretsIn(fields: readonly Field[]): SecretMarks {
  return fields.flatMap(({ secrets }) => secrets ?? []);
}

function redactedIn({ channel }: Http2, list: HeaderList): number {
  if (channel.environment.locate === undefined) return 0;
  return countMasked(Buffer.from(list.map(([, value]) => value ?? '').join('\n')));
}

/** The message of this direction; where its head was missed, one without. */
function messageOf(http: Http2, lane: Lane, stream: Stream): Message {
  const there = stream.messages[lane.direction];
  if (there !== null) return there;
  const kind = http.streams.client === lane.direction ? 'request' : 'response';
  return begin(http, lane, stream, missingHead(kind, stream.suspect[lane.direction] ?? NO_HEAD));
}

/** A promise is a request that the server makes for the client. */
function onPromise(http: Http2, lane: Lane, number: number, fields: readonly Field[]): void {
  const { streams } = http;
  const direction = opposite(lane.direction);
  streams.client ??= direction;
  const stream = openStreamOf(streams, number, { pushed: true });
  if (stream.messages[direction] !== null) return;
  const head = headOf('request', fields);
  const from = { head, redacted: redactedIn(http, head.list), secrets: secretsIn(fields) };
  const request = createMessage(stream.channel, direction, from, lane.first, -1);
  stream.messages[direction] = request;
  endMessage(stream.channel, request, true);
  closeWhenDone(streams, stream);
}

function endStream(http: Http2, lane: Lane, number: number): void {
  const { streams } = http;
  const stream = streams.open.get(number);
  if (stream === undefined) return;
  endSide(streams, stream, lane.direction);
  closeWhenDone(streams, stream);
}

function onGoaway(http: Http2, direction: Direction, last: number, code: number): void {
  const { streams } = http;
  const reason = `goaway: ${errorName(code)}`;
  if (code !== 0) streams.goaway = reason;
  // Streams that the other side began, beyond the last one: nobody answers them.
  const odd = streams.client === null ? null : streams.client !== direction;
  for (const stream of streams.open.values()) {
    if (stream.number > last && odd !== null && (stream.number % 2 === 1) === odd) close(streams, stream, reason);
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly position: number;
}

function startData(http: Http2, lane: Lane, number: number): Sniff | null {
  const { streams } = http;
  if (isClosed(streams, number)) return null;
  const stream = openStreamOf(streams, number);
  if (stream.tunnel !== null) return null;
  const message = messageOf(http, lane, stream);
  // Without a head nothing says that a body is a stream of events, but its own first bytes.
  return message.done || message.stream !== null || message.head.status > 0 || message.head.method !== '' ? null : createSniff();
}

function onData(http: Http2, lane: Lane, number: number, piece: Piece): void {
  const stream = http.streams.open.get(number);
  const { direction, sniffing } = lane;
  const { bytes, start, end, position } = piece;
  const message = stream?.messages[direction] ?? null;
  if (stream !== undefined && stream.tunnel !== null) {
    http.streams.settled?.begin(direction, number, position, position + end - start);
    stream.tunnel.data(direction, bytes.subarray(start, end), position, false);
  } else if (stream === undefined || message === null || message.done) {
    http.channel.environment.counters.add('opaque_bytes', end - start);
    http.channel.hold?.unread(direction, position, position + end - start);
  } else if (sniffing === null) {
    take(http, stream, message, piece);
  } else {
    http.streams.settled?.begin(direction, number, position, position + end - start);
    const told = sniff(sniffing, bytes.subarray(start, end), position);
    if (told === 'more') return;
    if (told === 'events') openStreamMidway(stream.channel, message, ownerOf(http.streams, stream));
    settleSniff(http, lane, number, { ...piece, start: start + sniffing.taken, position: position + sniffing.taken });
  }
}

/** A body that came in one piece is a view of it; until its end comes, it must be our own. */
function keepBody({ streams }: Http2, direction: Direction, number: number): void {
  const body = streams.open.get(number)?.messages[direction]?.body;
  if (body?.borrowed === true) ownBytes(body);
}

/** What the sniffing kept back goes into the body, and then the rest of the piece. */
function settleSniff(http: Http2, lane: Lane, number: number, rest?: Piece): void {
  const { sniffing, direction } = lane;
  lane.sniffing = null;
  const stream = http.streams.open.get(number);
  const message = stream?.messages[direction] ?? null;
  if (stream === undefined || message === null || message.done) return;
  for (const { bytes, position } of sniffing?.pieces ?? []) take(http, stream, message, { bytes, start: 0, end: bytes.length, position });
  if (rest !== undefined && rest.start < rest.end) take(http, stream, message, rest);
}

function take(http: Http2, stream: Stream, message: Message, { bytes, start, end, position }: Piece): void {
  http.streams.settled?.begin(message.direction, stream.number, position, position + end - start);
  addBody(stream.channel, message, bytes, start, end, position);
}

interface Missing {
  readonly count: number;
  readonly withheld: boolean;
  readonly position: number;
}

function onDataMissing(http: Http2, lane: Lane, number: number, { count, withheld, position }: Missing): void {
  settleSniff(http, lane, number);
  const stream = http.streams.open.get(number);
  if (stream === undefined) return;
  const message = stream.messages[lane.direction];
  if (stream.tunnel !== null) stream.tunnel.missing(lane.direction, position, count, withheld);
  else if (message !== null && !message.done) missBody(stream.channel, message, count, withheld);
}
