/**
 * HTTP/2 on one connection (RFC 9113): what its frames say about streams, and
 * the header tables of both directions. Joined in its middle, or after a gap, it
 * goes on at the next boundary of frames that it can prove; a body whose head was
 * not seen is kept all the same.
 */
import type { Direction } from '../../src/event.ts';
import { BAD_HEAD, PREFACE, errorName } from '../http2/frame.ts';
import { type FrameHandler, createFrameParser, feed, finish, skip } from '../http2/parser.ts';
import { createTable, loseEntries } from '../http2/table.ts';
import { type Channel, carrierOf } from './channel.ts';
import type { Exchange } from './exchange.ts';
import { keepBody, onData, onDataMissing, settleSniff, startData } from './http2-bodies.ts';
import { onBlock } from './http2-heads.ts';
import { type Http2, type Lane, NO_HEAD, endStream } from './http2-lane.ts';
import type { Protocol } from './protocol.ts';
import { createSettled } from './settled.ts';
import { createRecent } from './recent.ts';
import { type Streams, close, closeAll, openStreamOf, suspectAll } from './streams.ts';

export interface Http2Start {
  /** The direction of requests, where the first bytes told. */
  readonly client: Direction | null;
  /** The exchange that asked for HTTP/2 on a connection of HTTP/1; its response is that of stream 1. */
  readonly upgraded: Exchange | null;
  /** Exchanges that this connection had before it. */
  readonly earlier: number;
}

export function createHttp2(channel: Channel, { client, upgraded, earlier }: Http2Start): Protocol {
  const { hold } = channel;
  const streams: Streams = {
    channel, settled: hold === null ? null : createSettled(channel, hold), open: new Map(), closed: createRecent(), client,
    // Joined in the middle, both directions are.
    whole: { read: client !== null, write: client !== null }, goaway: null,
    // Stream 1 is the last of them.
    base: Math.max(0, earlier - 1),
  };
  const http: Http2 = { channel, streams, lanes: { read: null, write: null } };
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
    table: createTable(limits.hpackTableBytes, tables, whole), first: channel.carrier, fresh: false, sniffing: null,
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
      lane().fresh = true;
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
