/**
 * One TLS connection: puts the parts of each direction in order, finds what is
 * missing or came twice, and gives the rest to the protocol that the first
 * bytes tell. Positions are exact, because the kernel counts every byte whether
 * or not its record was delivered.
 */
import type { Direction, ProcessKey, TlsChunk, TlsEvent } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import { type Channel, carrierOf } from './channel.ts';
import { type Hold, createHold } from './hold.ts';
import { createHttp1 } from './http1.ts';
import { createOpaque } from './opaque.ts';
import type { Environment, HttpCounter } from './options.ts';
import { type Part, ownPart } from './part.ts';
import { DETECT_BYTES, type End, type Protocol, detect } from './protocol.ts';

interface Lane {
  /** Position of the next byte in order, or -1 before the first. */
  next: number;
  /** Parts that came before an earlier one, by position. */
  late: Part[];
  /** Parts that are too short to tell the protocol. */
  undecided: Part[];
}

export interface Connection {
  readonly id: string;
  /** Process that used it last. */
  process: ProcessKey | null;
  last: Nanoseconds;
  accept(event: TlsEvent, chunk: TlsChunk): void;
  /** Emits what is in progress. Safe twice. */
  end(end: End): void;
}

interface State {
  readonly environment: Environment;
  readonly channel: Channel;
  readonly hold: Hold | null;
  readonly lanes: Readonly<Record<Direction, Lane>>;
  protocol: Protocol | null;
  ended: boolean;
}

export function createConnection(environment: Environment, event: TlsEvent, first: TlsChunk): Connection {
  const hold = environment.raw ? createHold(environment) : null;
  const id = first.connection;
  const state: State = {
    environment,
    channel: {
      environment, connection: id, hold, firstExchange: first.position, carrier: carrierOf(event), faulty: false,
    },
    hold,
    lanes: { read: createLane(), write: createLane() },
    protocol: null,
    ended: false,
  };
  return {
    id,
    process: event.process,
    last: event.timestamp,
    accept(next, chunk) {
      this.process = next.process;
      this.last = next.timestamp;
      acceptPart(state, { event: next, chunk });
    },
    end: (end) => endConnection(state, end),
  };
}

function createLane(): Lane {
  return { next: -1, late: [], undecided: [] };
}

function spanOf(chunk: TlsChunk): number {
  return chunk.len + (chunk.withheld ?? 0);
}

function acceptPart(state: State, part: Part): void {
  const { hold, environment } = state;
  const { chunk, event } = part;
  const lane = state.lanes[chunk.direction];
  giveUpWaiting(state, part);
  if (lane.next === -1) lane.next = chunk.position;
  if (hold === null) environment.emit(event);
  else hold.add(event, chunk, spanOf(chunk) > 0 && chunk.position + spanOf(chunk) <= lane.next);
  if (chunk.position <= lane.next) {
    take(state, lane, part);
    takeLate(state, lane);
  } else {
    environment.counters.add('reordered');
    insertLate(lane, ownPart(part));
    if (lane.late.length > environment.limits.reorderParts) closeGap(state, lane);
  }
  hold?.own();
  // Between events nothing may keep a payload, and with it a batch, alive.
  state.channel.carrier = carrierOf(state.channel.carrier);
}

/**
 * Parts that have waited too long for an earlier one will not see it. Nor will
 * they when the program has turned to the other direction: an answer must not
 * come before the request that waits.
 */
function giveUpWaiting(state: State, { event, chunk }: Part): void {
  for (const direction of ['read', 'write'] as const) {
    const lane = state.lanes[direction];
    for (let first = lane.late[0]; first !== undefined; first = lane.late[0]) {
      const waitedMs = differenceMs(event.timestamp, first.event.timestamp);
      if (direction === chunk.direction && waitedMs < state.environment.limits.reorderMs) break;
      closeGap(state, lane);
    }
  }
}

function insertLate(lane: Lane, part: Part): void {
  let at = lane.late.length;
  while (at > 0 && (lane.late[at - 1] as Part).chunk.position > part.chunk.position) at--;
  lane.late.splice(at, 0, part);
}

function takeLate(state: State, lane: Lane): void {
  for (let part = lane.late[0]; part !== undefined && part.chunk.position <= lane.next; part = lane.late[0]) {
    lane.late.shift();
    take(state, lane, part);
  }
}

/** What is before the first late part is missing for good. */
function closeGap(state: State, lane: Lane): void {
  const part = lane.late[0];
  if (part === undefined) return;
  const { counters } = state.environment;
  const { position, direction } = part.chunk;
  const count = position - lane.next;
  counters.add('gaps');
  counters.add('gap_bytes', count);
  const from = lane.next;
  lane.next = position;
  carry(state, part);
  protocolOf(state, 'unknown').missing(direction, from, count, false);
  takeLate(state, lane);
}

/** A part that begins at or before the next byte in order. */
function take(state: State, lane: Lane, part: Part): void {
  const { chunk } = part;
  const span = spanOf(chunk);
  const repeated = Math.min(span, lane.next - chunk.position);
  if (repeated > 0) state.environment.counters.add('repeated_bytes', repeated);
  if (repeated >= span) return;
  lane.next = chunk.position + span;
  carry(state, part);
  if (state.protocol !== null || !wait(state, lane, part)) give(state, part, repeated);
}

function carry(state: State, { event, chunk }: Part): void {
  state.channel.carrier = event;
  state.channel.faulty = chunk.fault;
  if (chunk.fault) state.environment.counters.add('read_faults');
}

function give(state: State, { chunk }: Part, skip: number): void {
  const protocol = state.protocol as Protocol;
  const position = chunk.position + skip;
  if (chunk.withheld !== undefined && chunk.withheld > 0) {
    protocol.missing(chunk.direction, position, spanOf(chunk) - skip, true);
    return;
  }
  const bytes = bufferOf(chunk.payload);
  protocol.data(chunk.direction, skip === 0 ? bytes : bytes.subarray(skip), position, chunk.offset === 0 && skip === 0);
}

function bufferOf(payload: Uint8Array): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** Chooses the protocol by the first bytes; true while there are too few, and the part waits. */
function wait(state: State, lane: Lane, part: Part): boolean {
  // In the middle of a connection nothing can be told but a message's start, when it comes. In a
  // capture that left out the first bytes, whatever was no HTTP was left out too: that is the same.
  const position = lane.undecided[0]?.chunk.position ?? part.chunk.position;
  const seek = position > 0 || part.chunk.withheld !== undefined;
  const detected = seek ? 'http1' : detect(firstBytes([...lane.undecided, part]));
  if (detected === 'more') {
    lane.undecided.push(ownPart(part));
    return true;
  }
  protocolOf(state, detected);
  carry(state, part);
  return false;
}

function firstBytes(parts: readonly Part[]): Buffer {
  return Buffer.concat(parts.map(({ chunk }) => bufferOf(chunk.payload).subarray(0, DETECT_BYTES))).subarray(0, DETECT_BYTES);
}

/** The connection's protocol, made as `detected` when there is none; bytes that waited for it come first. */
function protocolOf(state: State, detected: 'http1' | 'http2' | 'unknown'): Protocol {
  if (state.protocol !== null) return state.protocol;
  state.protocol = detected === 'http1' ? createHttp1(state.channel) : openOpaque(state, `opaque_${detected}`);
  for (const lane of [state.lanes.read, state.lanes.write]) {
    for (const part of lane.undecided.splice(0)) {
      carry(state, part);
      give(state, part, 0);
    }
  }
  return state.protocol;
}

function openOpaque(state: State, counter: HttpCounter): Protocol {
  state.environment.counters.add(counter);
  return createOpaque(state.channel);
}

function endConnection(state: State, end: End): void {
  if (state.ended) return;
  state.ended = true;
  for (const lane of [state.lanes.read, state.lanes.write]) {
    while (lane.late.length > 0) closeGap(state, lane);
  }
  state.protocol?.end(end);
  state.hold?.flush();
}
