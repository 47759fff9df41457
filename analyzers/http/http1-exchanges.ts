/**
 * The exchanges of HTTP/1 on one connection: what the messages of its two directions become. `pairing.ts` says which
 * response answers which request; here an exchange begins, grows, breaks off and is emitted.
 */
import type { Direction } from '../../src/event.ts';
import { FRAMING, type Framing, framingOf } from '../http1/framing.ts';
import { reasonOf } from '../http1/head.ts';
import { type Http1Parser, expectKind, giveUpBody, giveUpHole, makeOpaque } from '../http1/parser.ts';
import { AT, BAD_CHUNK, BAD_SIZE } from '../http1/state.ts';
import type { MessageKind } from '../http1/start-line.ts';
import type { Carrier, Channel } from './channel.ts';
import { type Exchange, type Interim, addInterim, emitExchange, exchangeOf, exchangeWithoutRequest } from './exchange.ts';
import { type MaskedHead, type Message, addFlag, createMessage, doubtBody, endMessage, openStream } from './message.ts';
import { createOpaque } from './opaque.ts';
import { type Lost, type Pairing, addRequest, announced, doubtOrder, loseResponses, takeRequest } from './pairing.ts';
import type { Protocol } from './protocol.ts';
import { createSuccessor, isHttp2Upgrade } from './successor.ts';

export interface Lane {
  readonly direction: Direction;
  readonly parser: Http1Parser;
  /** How many exchanges there were when its first bytes came, which had others before them; null from its first message on. */
  midwayAt: number | null;
  /** What of it is missing, where no message began since. */
  lost: Lost;
  /** Bytes came that were read as no message, and since then neither a message began nor, in the other direction, a response. */
  unread: boolean;
  /** Carried the first byte of the message being read. */
  first: Carrier;
  /** How many exchanges there were when it came. */
  firstNumber: number;
  exchange: Exchange | null;
  message: Message | null;
  /** Responses of status 1xx to a request that was not captured. */
  interim: Interim[];
}

export interface Http1 {
  readonly channel: Channel;
  readonly lanes: { read: Lane | null; write: Lane | null };
  readonly pairing: Pairing;
  /** What follows is another protocol, or cannot be paired: this reads it. */
  successor: Protocol | null;
  exchanges: number;
}

export function otherLane(http: Http1, direction: Direction): Lane | null {
  return http.lanes[direction === 'read' ? 'write' : 'read'];
}

export function onRequest(http: Http1, lane: Lane, from: MaskedHead): Framing {
  const { channel } = http;
  const { direction } = lane;
  tellOtherKind(http, direction, 'response');
  endSilent(http, otherLane(http, direction));
  const framing = framingOf(from.head, null);
  const request = createMessage(channel, direction, from, lane.first, framing);
  const exchange = exchangeOf(channel, nextId(http), http.exchanges++, request);
  request.owner = exchange;
  lane.message = request;
  lane.exchange = exchange;
  // They were of another request, which was not answered before this one was sent.
  if (lane.unread) http.pairing.pipelines = true;
  lane.unread = false;
  addRequest(http.pairing, exchange, { lost: lane.lost, inStep: (otherLane(http, direction)?.lost ?? 'nothing') === 'nothing' });
  lane.lost = 'nothing';
  if (framing === FRAMING.lost) onUnframed(http, lane, request);
  if (http.pairing.waiting.length <= channel.environment.limits.httpPendingPerConnection) return framing;
  overrun(http);
  return FRAMING.opaque;
}

export function onResponse(http: Http1, lane: Lane, from: MaskedHead): Framing {
  const { channel } = http;
  const { direction } = lane;
  const { status } = from.head;
  tellOtherKind(http, direction, 'request');
  answerUnread(http, direction);
  // What was lost before its first bytes may have had the response to any request that was there by then.
  if (lane.midwayAt !== null) loseResponses(http.pairing, { before: lane.midwayAt, swallowed: true });
  lane.midwayAt = null;
  lane.lost = 'nothing';
  if (status < 200 && status !== 101 && from.head.fault === null) {
    addInterim(channel, announced(http.pairing)?.interim ?? lane.interim, from);
    return FRAMING.none;
  }
  const exchange = takeRequest(http.pairing, (lost) => emitExchange(channel, lost, 'no response')) ?? orphan(http, lane);
  const framing = framingOf(from.head, exchange.request?.head.method ?? null);
  const response = createMessage(channel, direction, from, lane.first, framing);
  response.owner = exchange;
  exchange.response = response;
  lane.message = response;
  lane.exchange = exchange;
  openStream(channel, response, () => exchange);
  doubtBodies(http, lane, exchange);
  if (framing === FRAMING.lost) onUnframed(http, lane, response);
  if (framing === FRAMING.opaque) upgrade(http, lane);
  return framing;
}

/** Of a request whose client waited for 100 in vain, and of the response to one that was not captured. */
function doubtBodies(http: Http1, lane: Lane, { request, interim }: Exchange): void {
  const asking = otherLane(http, lane.direction);
  if (request === null) lane.parser.mayLackBody = true;
  else if (asking?.message === request && isWaiting(request) && interim.every(({ head }) => head.status !== 100)) asking.parser.mayLackBody = true;
}

function isWaiting({ head }: Message): boolean {
  return head.headers['expect']?.some((value) => value.toLowerCase() === '100-continue') ?? false;
}

/** There is another message where the body would begin, or the end of the connection. */
export function onUnsent(http: Http1, lane: Lane): void {
  if (lane.message === null || lane.message.body.total > 0) return;
  if (lane.message.head.kind === 'response') return breakOff(http, lane, 'end of the response is not sure');
  addFlag(lane.message, 'body-not-sent');
  emitWhenDone(http, endOf(http, lane, true));
}

function tellOtherKind(http: Http1, direction: Direction, kind: MessageKind): void {
  const other = otherLane(http, direction);
  if (other !== null) expectKind(other.parser, kind);
}

function answerUnread(http: Http1, direction: Direction): void {
  const other = otherLane(http, direction);
  if (other !== null) other.unread = false;
}

function nextId(http: Http1): string {
  return `${http.channel.connection}#${http.exchanges}`;
}

function orphan(http: Http1, lane: Lane): Exchange {
  http.channel.environment.counters.add('responses_unpaired');
  const exchange = exchangeWithoutRequest(nextId(http), http.exchanges++, lane.first.timestamp);
  exchange.interim.push(...lane.interim.splice(0));
  return exchange;
}

/** Where the message ends cannot be told. */
function onUnframed(http: Http1, lane: Lane, { head, fault }: Message): void {
  const { fault: flag } = head.length;
  const reason = fault ?? (flag === null ? 'body length cannot be told' : reasonOf(flag));
  breakOff(http, lane, reason);
  http.pairing.loss = reason;
  doubtOrder(http.pairing, head.kind, http.exchanges);
  if (head.kind === 'response') loseResponses(http.pairing, { before: http.exchanges, swallowed: false });
  else if (head.flags.length > 0) http.pairing.doubt ??= reason;
}

/**
 * A client has the whole answer before it asks again: the rest of one with a gap was lost with it. That of a request which was
 * not captured may have had no body, whatever its length says: as to HEAD.
 */
function endSilent(http: Http1, lane: Lane | null): void {
  if (lane === null || giveUpHole(lane.parser) || lane.exchange === null || lane.exchange.request !== null || !giveUpBody(lane.parser)) return;
  breakOff(http, lane, 'end of the response is not sure');
}

/** The message of the lane has ended, whole or not. Returns its exchange. */
export function endOf(http: Http1, lane: Lane, whole: boolean): Exchange | null {
  const { message, exchange } = lane;
  lane.message = null;
  lane.exchange = null;
  if (message === null) return null;
  if (whole) message.last = http.channel.carrier.timestamp;
  endMessage(http.channel, message, whole);
  return exchange;
}

export function emitWhenDone(http: Http1, exchange: Exchange | null): void {
  if (exchange === null || exchange.response?.done !== true) return;
  if (exchange.request === null || exchange.request.done) emitExchange(http.channel, exchange, '');
}

function breakOff(http: Http1, lane: Lane, reason: string): void {
  if (lane.message !== null) lane.message.fault ??= reason;
  emitWhenDone(http, endOf(http, lane, false));
}

export function onLost(http: Http1, lane: Lane, reason: string, sinceStart: boolean): void {
  http.channel.environment.counters.add('resynchronised');
  if (lane.message !== null && reason === BAD_CHUNK) addFlag(lane.message, 'malformed-chunk');
  if (lane.message !== null && reason === BAD_SIZE) addFlag(lane.message, 'chunk-size-overflow');
  lane.interim = [];
  breakOff(http, lane, reason);
  // What is lost may have been a response.
  answerUnread(http, lane.direction);
  const before = sinceStart ? lane.firstNumber : http.exchanges;
  http.pairing.loss = reason;
  doubtOrder(http.pairing, lane.parser.kind, before);
  if (lane.parser.kind !== 'request') loseResponses(http.pairing, { before, swallowed: true });
}

/**
 * Bytes of its body in chunks are missing, nobody knows how many. A stream of events is read on behind them, unless its client may have
 * asked for more meanwhile: what follows could be the answer to that.
 */
export function onHole(http: Http1, { direction, message }: Lane, reason: string): boolean {
  const other = otherLane(http, direction);
  const isAlone = other === null || (other.parser.state === AT.start && other.lost === 'nothing');
  if (message === null || message.stream === null || message.decoder !== null || http.pairing.waiting.length > 0 || !isAlone) return false;
  message.fault ??= reason;
  doubtBody(message, reason);
  return true;
}

/** That the body goes on is likely; nothing on the wire proves that no other message is in the gap. */
export function onResumed(http: Http1, lane: Lane): void {
  lane.lost = 'nothing';
  if (lane.exchange !== null) lane.exchange.inferred = true;
  doubtOrder(http.pairing, lane.parser.kind, http.exchanges);
}

/** 101, or 2xx to CONNECT: the exchange is over, and what follows is another protocol. */
function upgrade(http: Http1, lane: Lane): void {
  const exchange = endOf(http, lane, true);
  if (exchange === null || !isHttp2Upgrade(exchange)) emitWhenDone(http, exchange);
  abandon(http, 'connection changed its protocol');
  const asking = otherLane(http, exchange?.response?.direction ?? 'read');
  leaveHttp(http, createSuccessor(http.channel, exchange, { isEarly: asking !== null && asking.parser.state !== AT.start, earlier: http.exchanges }));
}

/** Requests beyond the limit: the pairing cannot be kept. */
function overrun(http: Http1): void {
  const { counters } = http.channel.environment;
  counters.add('requests_overrun', http.pairing.waiting.length);
  counters.add('opaque_overrun');
  for (const exchange of http.pairing.waiting) exchange.suspect ??= 'too many requests waiting';
  abandon(http, 'too many requests waiting');
  leaveHttp(http, createOpaque(http.channel));
}

function leaveHttp(http: Http1, successor: Protocol): void {
  http.successor = successor;
  for (const lane of lanesOf(http)) makeOpaque(lane.parser);
}

/** Emits what is in progress, in order of its requests. */
export function abandon(http: Http1, reason: string): void {
  const open = new Set<Exchange>();
  for (const lane of lanesOf(http)) {
    if (lane.message !== null) endMessage(http.channel, lane.message, false);
    if (lane.exchange !== null) open.add(lane.exchange);
    lane.message = null;
    lane.exchange = null;
  }
  for (const exchange of http.pairing.waiting.splice(0)) open.add(exchange);
  for (const exchange of [...open].toSorted(byStart)) emitExchange(http.channel, exchange, reason);
}

function byStart(a: Exchange, b: Exchange): number {
  return a.started < b.started ? -1 : a.started > b.started ? 1 : a.id.length - b.id.length || (a.id < b.id ? -1 : 1);
}

export function lanesOf(http: Http1): Lane[] {
  return [http.lanes.read, http.lanes.write].filter((lane) => lane !== null);
}
