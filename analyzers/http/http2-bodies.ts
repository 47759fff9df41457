/** DATA of one direction: into the body of its stream, or what reads a tunnel. */
import type { Direction } from '../../src/event.ts';
import { ownBytes } from './body.ts';
import { type Http2, type Lane, messageOf } from './http2-lane.ts';
import { type Message, addBody, missBody, openStreamMidway } from './message.ts';
import { type Sniff, createSniff, sniff } from './sniff.ts';
import { type Stream, isClosed, openStreamOf, ownerOf } from './streams.ts';

interface Piece {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly position: number;
}

export function startData(http: Http2, lane: Lane, number: number): Sniff | null {
  const { streams } = http;
  if (isClosed(streams, number)) return null;
  const stream = openStreamOf(streams, number);
  if (stream.tunnel !== null) return null;
  const message = messageOf(http, lane, stream);
  // Without a head nothing says that a body is a stream of events, but its own first bytes.
  return message.done || message.stream !== null || message.head.status > 0 || message.head.method !== '' ? null : createSniff();
}

export function onData(http: Http2, lane: Lane, number: number, piece: Piece): void {
  const stream = http.streams.open.get(number);
  const { direction, sniffing, fresh } = lane;
  const { bytes, start, end, position } = piece;
  lane.fresh = false;
  const message = stream?.messages[direction] ?? null;
  if (stream !== undefined && stream.tunnel !== null) {
    http.streams.settled?.begin(direction, number, position, position + end - start);
    stream.tunnel.data(direction, bytes.subarray(start, end), position, fresh, position + end - start + lane.parser.content);
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
export function keepBody({ streams }: Http2, direction: Direction, number: number): void {
  const body = streams.open.get(number)?.messages[direction]?.body;
  if (body?.borrowed === true) ownBytes(body);
}

/** What the sniffing kept back goes into the body, and then the rest of the piece. */
export function settleSniff(http: Http2, lane: Lane, number: number, rest?: Piece): void {
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

export function onDataMissing(http: Http2, lane: Lane, number: number, { count, withheld, position }: Missing): void {
  settleSniff(http, lane, number);
  lane.fresh = false;
  const stream = http.streams.open.get(number);
  if (stream === undefined) return;
  const message = stream.messages[lane.direction];
  if (stream.tunnel !== null) stream.tunnel.missing(lane.direction, position, count, withheld, position + count + lane.parser.content);
  else if (message !== null && !message.done) missBody(stream.channel, message, count, withheld);
}
