/**
 * HTTP/1 on one connection: a parser for each direction, whose finds become messages here and exchanges in
 * `http1-exchanges.ts`.
 */
import type { Direction } from '../../src/event.ts';
import { type Http1Handler, createHttp1Parser, feed, finish, isInChunks, isSeeking, skip } from '../http1/parser.ts';
import { type Channel, carrierOf } from './channel.ts';
import { type Http1, type Lane, abandon, emitWhenDone, endOf, lanesOf, onHole, onLost, onRequest, onResponse, onResumed, onUnsent, otherLane } from './http1-exchanges.ts';
import { addBody, addFlag, addTrailers, maskFields, missBody, readHead } from './message.ts';
import { createPairing, doubtOrder } from './pairing.ts';
import type { End, Protocol } from './protocol.ts';

export function createHttp1(channel: Channel): Protocol {
  const http: Http1 = { channel, lanes: { read: null, write: null }, pairing: createPairing(), successor: null, exchanges: channel.firstExchange };
  return {
    data(direction, bytes, position, fresh, callEnd) {
      if (http.successor !== null) http.successor.data(direction, bytes, position, fresh, callEnd);
      else feed(laneOf(http, direction, position).parser, bytes, position, fresh);
    },
    missing(direction, position, count, withheld, callEnd) {
      if (http.successor !== null) http.successor.missing(direction, position, count, withheld, callEnd);
      else miss(laneOf(http, direction, position), position, count, withheld);
    },
    end: (end) => endAll(http, end),
  };
}

function miss(lane: Lane, position: number, count: number, withheld: boolean): void {
  // Nothing tells how long the rest of a body in chunks is.
  const lost = lane.lost === 'nothing' && isInChunks(lane.parser) ? 'maybe' : 'requests';
  skip(lane.parser, position, count, withheld);
  if (!isSeeking(lane.parser)) return;
  if (withheld) lane.unread = true;
  else if (lane.lost !== 'maybe') lane.lost = lost;
}

function laneOf(http: Http1, direction: Direction, position: number): Lane {
  return http.lanes[direction] ?? openLane(http, direction, position);
}

/** A direction whose first bytes are not there begins in the middle of something. */
function openLane(http: Http1, direction: Direction, position: number): Lane {
  const { limits } = http.channel.environment;
  const parser = createHttp1Parser(createHandler(http, direction), limits, position > 0);
  const lane: Lane = {
    direction, parser, midwayAt: position > 0 ? lostBefore(http, direction, position) : null, lost: position > 0 ? 'requests' : 'nothing', unread: false, first: http.channel.carrier, firstNumber: 0,
    exchange: null, message: null, interim: [],
  };
  http.lanes[direction] = lane;
  if (lane.midwayAt !== null) doubtOrder(http.pairing, null, 0);
  const other = otherLane(http, direction)?.parser.kind ?? null;
  if (other !== null) parser.kind = other === 'request' ? 'response' : 'request';
  return lane;
}

/** Exchanges up to this number may have had their response before these first bytes of the direction. */
function lostBefore({ channel, exchanges }: Http1, direction: Direction, position: number): number {
  return channel.seen?.[direction] === position ? channel.firstExchange : exchanges;
}

function createHandler(http: Http1, direction: Direction): Http1Handler {
  const { channel } = http;
  const lane = (): Lane => http.lanes[direction] as Lane;
  return {
    onStart() {
      lane().first = carrierOf(channel.carrier);
      lane().firstNumber = http.exchanges;
    },
    onHead(kind, bytes, position, whole) {
      const from = readHead(channel, direction, kind, bytes, position);
      channel.hold?.settle(direction, position + bytes.length);
      if (!whole) channel.environment.counters.add('heads_too_long');
      const head = whole ? from : { ...from, head: { ...from.head, fault: 'head over the limit' } };
      return kind === 'request' ? onRequest(http, lane(), head) : onResponse(http, lane(), head);
    },
    onBody(bytes, start, end, position) {
      const { message } = lane();
      if (message !== null) addBody(channel, message, bytes, start, end, position);
    },
    onMissing(count, withheld) {
      const { message } = lane();
      if (message !== null) missBody(channel, message, count, withheld);
    },
    onHole: (reason) => onHole(http, lane(), reason),
    onResumed: () => onResumed(http, lane()),
    onTrailers: (trailers, position) => addTrailers(channel, lane().message, trailers, { direction, position }),
    onFlag(flag) {
      const { message } = lane();
      if (flag === 'chunk-extension') channel.environment.counters.add('chunk_extensions');
      if (message !== null) addFlag(message, flag);
    },
    // Nobody needs it, and it could say anything.
    onExtension(from, to) {
      if (channel.environment.locate !== undefined) channel.hold?.mask(direction, from, to);
    },
    onUnsent: () => onUnsent(http, lane()),
    onEnd(position) {
      const ended = endOf(http, lane(), true);
      channel.hold?.settle(direction, position);
      emitWhenDone(http, ended);
    },
    onLost: (reason, sinceStart) => onLost(http, lane(), reason, sinceStart),
    onFragment(bytes, position) {
      lane().unread = true;
      maskFields(channel, direction, bytes, position);
      channel.hold?.settle(direction, position + bytes.length);
    },
    onSkipped(from, to) {
      lane().unread = true;
      channel.environment.counters.add('opaque_bytes', to - from);
      channel.hold?.unread(direction, from, to);
      channel.hold?.settle(direction, to);
    },
    onOpaque: (bytes, at, position) => http.successor?.data(direction, bytes.subarray(at), position, false, position + bytes.length - at),
  };
}

function endAll(http: Http1, end: End): void {
  // Requests first: a body that the end completes must not leave its response unpaired.
  const lanes = lanesOf(http).toSorted((a, b) => Number(a.parser.kind === 'response') - Number(b.parser.kind === 'response'));
  for (const lane of lanes) finish(lane.parser, Number.MAX_SAFE_INTEGER, !end.unfinished.includes(lane.direction));
  abandon(http, end.reason);
  http.successor?.end(end);
  // Every byte that came was read or skipped by now.
  http.channel.hold?.settle('read', Number.MAX_SAFE_INTEGER);
  http.channel.hold?.settle('write', Number.MAX_SAFE_INTEGER);
}
