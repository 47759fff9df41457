/**
 * One connection with plaintext, of TLS or of a bare socket: puts the parts of each direction in order, finds what is
 * missing or came twice, and gives the rest to the protocol that the first
 * bytes tell. Positions are exact, because the kernel counts every byte whether
 * or not its record was delivered.
 */
import type { Direction, Endpoint, ProcessKey } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import { type Channel, type Seen, carrierOf } from './channel.ts';
import { type Hold, createHold } from './hold.ts';
import { createHttp1 } from './http1.ts';
import { createHttp2 } from './http2.ts';
import { type Naming, createNaming } from './naming.ts';
import { createOpaque } from './opaque.ts';
import type { Environment } from './options.ts';
import { type Chunk, type ChunkEvent, type Part, bytesOf, ownPart, spanOf } from './part.ts';
import type { Detected, End, Protocol } from './protocol.ts';
import { type Undecided, createUndecided } from './undecided.ts';

interface Lane {
  /** Position of the next byte in order, or -1 before the first. */
  next: number;
  /** Parts that came before an earlier one, by position. */
  late: Part[];
  /** Where the bytes of a call end of which only the first are kept. */
  cutEnd: number;
}

export interface Connection {
  readonly id: string;
  /** Process that used it last. */
  process: ProcessKey | null;
  last: Nanoseconds;
  readonly seen: Seen;
  accept(event: ChunkEvent, chunk: Chunk): void;
  /** Its socket became known, or is another one. */
  locate(endpoint: Endpoint): void;
  /** Emits what is in progress. Safe twice. */
  end(end: End): void;
}

interface State {
  readonly environment: Environment;
  readonly channel: Channel;
  readonly hold: Hold | null;
  readonly lanes: Readonly<Record<Direction, Lane>>;
  readonly undecided: Undecided;
  protocol: Protocol | null;
  naming: Naming | null;
  ended: boolean;
}

/** `seen`: of the same connection, before it was forgotten. */
export function createConnection(environment: Environment, event: ChunkEvent, first: Chunk, seen: Seen | null): Connection {
  const hold = environment.raw ? createHold(environment) : null;
  const id = first.connection;
  const state: State = {
    environment,
    channel: {
      environment, connection: id, hold, firstExchange: first.position, seen, carrier: carrierOf(event), faulty: false,
      tls: event.source === 'tls', endpoint: first.endpoint,
    },
    hold,
    lanes: { read: createLane(), write: createLane() },
    undecided: createUndecided(environment),
    protocol: null,
    naming: null,
    ended: false,
  };
  return {
    id,
    process: event.process,
    last: event.timestamp,
    get seen() {
      return { read: state.lanes.read.next, write: state.lanes.write.next };
    },
    accept(next, chunk) {
      this.process = next.process;
      this.last = next.timestamp;
      acceptPart(state, { event: next, chunk });
    },
    locate(endpoint) {
      state.channel.endpoint = endpoint;
    },
    end: (end) => endConnection(state, end),
  };
}

function createLane(): Lane {
  return { next: -1, late: [], cutEnd: -1 };
}

function acceptPart(state: State, part: Part): void {
  const { hold, environment } = state;
  const { chunk, event } = part;
  const lane = state.lanes[chunk.direction];
  if (chunk.endpoint !== null) state.channel.endpoint = chunk.endpoint;
  giveUpWaiting(state, part);
  closeCut(state, chunk.direction === 'read' ? 'write' : 'read');
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
  const { position } = part.chunk;
  const count = position - lane.next;
  counters.add('gaps');
  counters.add('gap_bytes', count);
  const from = lane.next;
  lane.next = position;
  carry(state, part);
  miss(state, part, from, count);
  takeLate(state, lane);
}

/** The rest of a call that was longer than what is kept of one: it will not come, and an answer must not wait for it. */
function closeCut(state: State, direction: Direction): void {
  const lane = state.lanes[direction];
  const count = lane.cutEnd - lane.next;
  if (count <= 0 || state.protocol === null) return;
  const { counters } = state.environment;
  counters.add('gaps');
  counters.add('gap_bytes', count);
  const from = lane.next;
  lane.next = lane.cutEnd;
  state.protocol.missing(direction, from, count, false, lane.cutEnd);
}

function miss(state: State, before: Part, position: number, count: number): void {
  if (state.protocol === null) {
    const detected = state.undecided.addGap(before, position, count);
    if (detected === 'more') return;
    open(state, detected, before.chunk.direction);
    carry(state, before);
  }
  state.protocol?.missing(before.chunk.direction, position, count, false, position + count);
}

/** A part that begins at or before the next byte in order. */
function take(state: State, lane: Lane, part: Part): void {
  const { chunk } = part;
  const span = spanOf(chunk);
  const repeated = Math.min(span, lane.next - chunk.position);
  if (repeated > 0) state.environment.counters.add('repeated_bytes', repeated);
  if (repeated >= span) return;
  lane.next = chunk.position + span;
  if (chunk.truncated) lane.cutEnd = chunk.position - chunk.offset + chunk.total;
  carry(state, part);
  if (state.protocol === null) {
    const detected = state.undecided.add(part);
    if (detected === 'more') return;
    open(state, detected, chunk.direction);
    carry(state, part);
  }
  give(state, part, repeated);
}

function carry(state: State, { event, chunk }: Part): void {
  state.channel.carrier = event;
  state.channel.faulty = chunk.fault;
  if (chunk.fault) state.environment.counters.add('read_faults');
}

function give(state: State, { chunk }: Part, skip: number): void {
  const protocol = state.protocol as Protocol;
  const position = chunk.position + skip;
  const callEnd = chunk.position - chunk.offset + chunk.total;
  if (chunk.withheld !== undefined && chunk.withheld > 0) {
    protocol.missing(chunk.direction, position, spanOf(chunk) - skip, true, callEnd);
    return;
  }
  const bytes = skip === 0 ? bytesOf(chunk) : bytesOf(chunk).subarray(skip);
  state.naming?.take(chunk.direction, bytes, position);
  protocol.data(chunk.direction, bytes, position, chunk.offset === 0 && skip === 0, callEnd);
}

/** Makes the connection's protocol, as its bytes of this direction told; what waited for it comes first. */
function open(state: State, detected: Detected, direction: Direction): void {
  state.protocol = createProtocol(state.channel, detected, direction);
  // A word of capital letters and a space may be a request, and may be a command: its answer tells.
  if (detected === 'unknown' || (detected === 'http1' && state.channel.tls)) state.naming = createNaming(state.channel, detected === 'unknown');
  for (const one of state.undecided.waiting.splice(0)) {
    if (one.kind === 'part') {
      carry(state, one.part);
      give(state, one.part, 0);
    } else {
      carry(state, one.before);
      state.protocol.missing(one.before.chunk.direction, one.position, one.count, false, one.position + one.count);
    }
  }
}

function createProtocol(channel: Channel, detected: Detected, direction: Direction): Protocol {
  switch (detected) {
    case 'http1': return createHttp1(channel);
    case 'http2-client': return createHttp2(channel, { client: direction, upgraded: null, earlier: 0 });
    case 'http2-server': return createHttp2(channel, { client: direction === 'read' ? 'write' : 'read', upgraded: null, earlier: 0 });
    case 'http2': return createHttp2(channel, { client: null, upgraded: null, earlier: 0 });
    default: return createOpaque(channel);
  }
}

function endConnection(state: State, end: End): void {
  if (state.ended) return;
  state.ended = true;
  for (const direction of ['read', 'write'] as const) {
    const lane = state.lanes[direction];
    while (lane.late.length > 0) closeGap(state, lane);
    closeCut(state, direction);
  }
  for (const one of state.undecided.waiting.splice(0)) {
    if (one.kind === 'part') state.environment.counters.add('opaque_bytes', spanOf(one.part.chunk));
  }
  state.naming?.end();
  state.protocol?.end(end);
  state.hold?.flush();
}
