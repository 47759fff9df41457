/**
 * The streams of one HTTP/2 connection: each is one exchange, so nothing has to
 * be paired. Messages are kept by the direction that they went, because which
 * of the two asks may become known late.
 */
import type { Direction } from '../../src/event.ts';
import type { Nanoseconds } from '../../src/time.ts';
import { reasonOf } from '../http1/head.ts';
import type { Channel } from './channel.ts';
import type { StreamOwner } from './event-stream.ts';
import { type Exchange, type Interim, emitExchange, exchangeOf, exchangeWithoutRequest } from './exchange.ts';
import { type Message, addFlag, doubtBody, endMessage } from './message.ts';
import type { End, Protocol } from './protocol.ts';
import { type Recent, isRecent, remember } from './recent.ts';
import type { Settled } from './settled.ts';
import { createSuccessor } from './successor.ts';

export interface Stream {
  readonly number: number;
  /** Its exchange. */
  readonly id: string;
  readonly channel: Channel;
  readonly messages: Record<Direction, Message | null>;
  /** Why something of this direction may be missing: its head, bytes of its body, its end. */
  readonly suspect: Record<Direction, string | null>;
  readonly pushed: boolean;
  readonly interim: Interim[];
  /** Reads what comes after a CONNECT that was granted, until both directions have ended. */
  tunnel: Protocol | null;
  readonly tunnelEnded: Set<Direction>;
}

export interface Streams {
  readonly channel: Channel;
  readonly settled: Settled | null;
  readonly open: Map<number, Stream>;
  /** Of those that are over: what still comes for them is late. */
  readonly closed: Recent;
  /** The direction of requests, from when it is known. */
  client: Direction | null;
  /** Nothing is missing of a direction so far. */
  readonly whole: Record<Direction, boolean>;
  /** What is added to a stream's number in the id of its exchange. */
  readonly base: number;
  /** What the last GOAWAY said, when that was an error. */
  goaway: string | null;
}

export function opposite(direction: Direction): Direction {
  return direction === 'read' ? 'write' : 'read';
}

export function isClosed(streams: Streams, number: number): boolean {
  return isRecent(streams.closed, number);
}

/** The stream, made when there is none. `id`: of an exchange that began elsewhere. */
export function openStreamOf(streams: Streams, number: number, options: { readonly pushed?: boolean; readonly id?: string } = {}): Stream {
  const known = streams.open.get(number);
  if (known !== undefined) return known;
  const { channel, open } = streams;
  const { limits, counters } = channel.environment;
  if (open.size >= limits.http2Streams) {
    for (const oldest of open.values()) {
      counters.add('streams_overrun');
      for (const direction of ['read', 'write'] as const) oldest.suspect[direction] ??= 'too many streams';
      close(streams, oldest, 'too many streams');
      break;
    }
  }
  const stream: Stream = {
    number, id: options.id ?? `${channel.connection}#${streams.base + number}`, channel: streams.settled?.channelOf(number) ?? channel,
    messages: { read: null, write: null }, suspect: { read: null, write: null }, pushed: options.pushed ?? false, interim: [], tunnel: null, tunnelEnded: new Set(),
  };
  open.set(number, stream);
  return stream;
}

export function ownerOf(streams: Streams, stream: Stream): StreamOwner {
  return {
    id: stream.id,
    get url() {
      return exchangeFrom(streams, stream).url;
    },
    get asked(): Nanoseconds | null {
      return exchangeFrom(streams, stream).asked;
    },
  };
}

/** A message has ended, whole. */
export function endSide(streams: Streams, stream: Stream, direction: Direction): void {
  const message = stream.messages[direction];
  if (stream.tunnel !== null) stream.tunnelEnded.add(direction);
  if (message === null || message.done) return;
  message.last = stream.channel.carrier.timestamp;
  if (isAsLongAsTold(message)) stream.suspect[direction] = null;
  else message.fault ??= stream.suspect[direction] ?? judgeLength(stream, message);
  endMessage(stream.channel, message, true);
  streams.settled?.end(direction, stream.number);
}

/** Then nothing of it was in a gap. */
function isAsLongAsTold({ head, body }: Message): boolean {
  return head.length.framing === body.seen;
}

/** What the head says of the length of a body that is whole is not what came (RFC 9113 §8.1.1): who believes it reads two messages, or waits for more. Returns the reason. */
function judgeLength({ messages }: Stream, message: Message): string | null {
  const { head: { kind, status, length }, body, direction, fault } = message;
  const request = messages[opposite(direction)];
  // A tunnel has no body, and of a request that is not known nobody can say that it was none of these.
  const asks = kind === 'request' ? message.head.method : request?.head.method ?? 'UNKNOWN';
  const mayHaveNone = kind === 'response' && (status === 204 || status === 304 || asks === 'HEAD' || asks === 'UNKNOWN');
  if (fault !== null || asks === 'CONNECT' || (mayHaveNone && body.total === 0)) return null;
  if (length.fault !== null) return reasonOf(length.fault);
  if (length.framing < 0 || length.framing === body.total) return null;
  addFlag(message, 'body-length-differs');
  return reasonOf('body-length-differs');
}

/** Closes the stream when its exchange is as whole as it can become. */
export function closeWhenDone(streams: Streams, stream: Stream): void {
  if (stream.tunnel !== null) {
    if (stream.tunnelEnded.size === 2) close(streams, stream, 'stream ended');
    return;
  }
  const client = clientOf(streams);
  const request = stream.messages[client];
  const response = stream.messages[opposite(client)];
  if (response?.done !== true) return;
  if (request?.done === true) close(streams, stream, '');
  // Of a request with a gap the end may be lost; of one that was not seen nothing will come.
  else if (request === null ? !streams.whole[client] : stream.suspect[client] !== null) close(streams, stream, 'end of the request not captured');
}

/** 2xx to CONNECT: the exchange is over, and the stream carries another protocol. */
export function tunnelWhenGranted(streams: Streams, stream: Stream): void {
  const { client } = streams;
  if (client === null || stream.tunnel !== null) return;
  const request = stream.messages[client];
  const response = stream.messages[opposite(client)];
  if (request?.head.method !== 'CONNECT' || response === null || response.head.status < 200 || response.head.status > 299) return;
  const isEarly = request.body.total > 0;
  for (const direction of ['read', 'write'] as const) endSide(streams, stream, direction);
  const exchange = exchangeFrom(streams, stream);
  emitExchange(stream.channel, exchange, '');
  stream.tunnel = createSuccessor(stream.channel, exchange, { isEarly, earlier: 0 });
  for (const direction of ['read', 'write'] as const) {
    // Its first bytes may be in a gap: then it begins in the middle of something.
    if (stream.suspect[direction] !== null) missTunnel(streams, stream, direction);
  }
  stream.messages.read = null;
  stream.messages.write = null;
}

/** What the stream lost in a gap of the connection, if anything, nobody knows. */
function missTunnel({ settled }: Streams, stream: Stream, direction: Direction): void {
  stream.tunnel?.missing(direction, 0, Infinity, false, 0);
  settled?.end(direction, stream.number);
}

/**
 * Ends what is in progress and emits the exchange. `reason`: why it is not whole. A message as long as its head told is
 * whole without its end: clients of Go reset a stream rather than wait for that.
 */
export function close(streams: Streams, stream: Stream, reason: string): void {
  const { open, closed, settled } = streams;
  open.delete(stream.number);
  remember(closed, stream.number);
  const messages = (['read', 'write'] as const).map((direction) => ({ direction, message: stream.messages[direction] }));
  for (const { direction, message } of messages) if (message !== null && isAsLongAsTold(message)) endSide(streams, stream, direction);
  const isWhole = messages.every(({ message }) => message?.done === true);
  for (const { message } of messages) if (message !== null && !message.done) endMessage(stream.channel, message, false);
  stream.tunnel?.end({ reason, unfinished: [] });
  for (const direction of ['read', 'write'] as const) settled?.end(direction, stream.number);
  if (stream.tunnel !== null || (stream.messages.read === null && stream.messages.write === null)) return;
  emitExchange(stream.channel, exchangeFrom(streams, stream), isWhole ? '' : reason);
}

/** Frames of this direction are missing: what has not ended may have, and what has not begun too. */
export function suspectAll(streams: Streams, direction: Direction, reason: string): void {
  streams.whole[direction] = false;
  for (const stream of streams.open.values()) {
    const message = stream.messages[direction];
    if (message?.done !== true) stream.suspect[direction] ??= reason;
    if (message?.done === false) doubtBody(message, reason);
    if (stream.tunnel !== null) missTunnel(streams, stream, direction);
  }
  // What waited for its request will not see it.
  for (const stream of streams.open.values()) closeWhenDone(streams, stream);
}

export function closeAll(streams: Streams, { reason, unfinished }: End): void {
  const why = unfinished.length === 0 ? streams.goaway ?? reason : reason;
  for (const stream of [...streams.open.values()].toSorted((a, b) => a.number - b.number)) close(streams, stream, why);
}

/** Where nothing told, the traced program is taken for the client, as nearly all are. */
function clientOf({ client }: Streams): Direction {
  return client ?? 'write';
}

function exchangeFrom(streams: Streams, stream: Stream): Exchange {
  const client = clientOf(streams);
  const { messages, suspect, number, id, pushed, channel, interim } = stream;
  const request = messages[client];
  const response = messages[opposite(client)];
  const exchange = request === null
    ? exchangeWithoutRequest(id, number, response?.first.timestamp ?? channel.carrier.timestamp)
    : exchangeOf(channel, id, number, request);
  return { ...exchange, stream: number, pushed, response, interim, suspect: suspect[client] ?? suspect[opposite(client)] };
}
