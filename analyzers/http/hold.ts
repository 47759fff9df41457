/**
 * Raw mode: chunks of one connection wait here until every byte of them is
 * settled, that is read by a parser that told where its secrets are, or given up
 * as unreadable. They leave in the order in which they came, so that a replay of what
 * was written finds the same bytes in the same order.
 */
import type { Direction } from '../../src/event.ts';
import { MASK } from './mask.ts';
import type { Environment } from './options.ts';
import { type Chunk, type ChunkEvent, type Part, ownPart, withChunk } from './part.ts';

interface Mark {
  readonly start: number;
  end: number;
  /** Not a secret: bytes that no parser could read. */
  readonly unread: boolean;
  /** What stands there instead, where it is not `*`. */
  readonly bytes: Buffer | null;
}

interface Side {
  settled: number;
  /** By position; those before `first` belong to chunks that have left. */
  marks: Mark[];
  first: number;
}

interface Held extends Part {
  readonly start: number;
  readonly end: number;
  /** Its bytes had been there before: nothing will settle them again. */
  readonly repeated: boolean;
}

export interface Hold {
  /** Takes the chunk; it leaves when it is settled. */
  add(event: ChunkEvent, chunk: Chunk, repeated: boolean): void;
  /** The chunk last added stays: keep its bytes without the batch they came in. */
  own(): void;
  mask(direction: Direction, start: number, end: number): void;
  /** As `mask`, with these bytes. */
  replace(direction: Direction, start: number, bytes: Buffer): void;
  unread(direction: Direction, start: number, end: number): void;
  /** Everything before `position` is decided. */
  settle(direction: Direction, position: number): void;
  /** Lets everything go; what is not settled counts as unread. */
  flush(): void;
}

/** What a chunk costs beside its payload, for the budget. */
const CHUNK_COST = 512;

export function createHold(environment: Environment): Hold {
  const sides: Readonly<Record<Direction, Side>> = {
    read: { settled: 0, marks: [], first: 0 },
    write: { settled: 0, marks: [], first: 0 },
  };
  let queue: Held[] = [];
  let head = 0;

  function release(): void {
    for (let held = queue[head]; held !== undefined; held = queue[head]) {
      const side = sides[held.chunk.direction];
      if (!held.repeated && held.end > side.settled) break;
      head++;
      environment.held.used -= cost(held.chunk);
      environment.emit(render(held, side, environment));
      forgetMarks(side, held.end);
    }
    if (head > 32 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
  }

  function flush(): void {
    for (let i = head; i < queue.length; i++) {
      const held = queue[i] as Held;
      const side = sides[held.chunk.direction];
      if (held.repeated || held.end <= side.settled) continue;
      addMark(side, { start: Math.max(held.start, side.settled), end: held.end, unread: true, bytes: null });
      side.settled = held.end;
    }
    release();
  }

  return {
    add(event, chunk, repeated) {
      const start = chunk.position;
      queue.push({ event, chunk, start, end: start + chunk.len + (chunk.withheld ?? 0), repeated });
      environment.held.used += cost(chunk);
      if (repeated) release();
    },
    own() {
      const last = queue.length - 1;
      const held = queue[last];
      if (held !== undefined && last >= head) queue[last] = withOwnBytes(held);
      if (environment.held.used <= environment.held.limit) return;
      environment.counters.add('held_full');
      flush();
    },
    mask: (direction, start, end) => addMark(sides[direction], { start, end, unread: false, bytes: null }),
    replace: (direction, start, bytes) => addMark(sides[direction], { start, end: start + bytes.length, unread: false, bytes }),
    unread: (direction, start, end) => addMark(sides[direction], { start, end, unread: true, bytes: null }),
    settle(direction, position) {
      const side = sides[direction];
      if (position <= side.settled) return;
      side.settled = position;
      release();
    },
    flush,
  };
}

function cost(chunk: Chunk): number {
  return chunk.len + CHUNK_COST;
}

function addMark(side: Side, mark: Mark): void {
  const { start, end, unread, bytes } = mark;
  if (end <= start) return;
  const { marks } = side;
  const last = marks.length > side.first ? marks.at(-1) : undefined;
  if (last !== undefined && last.unread === unread && last.end === start && bytes === null && last.bytes === null) {
    last.end = end;
    return;
  }
  // Nearly always the last, but for trailers, which are marked before the body that they follow, and for streams.
  let at = marks.length;
  while (at > side.first && (marks[at - 1] as Mark).start > start) at--;
  marks.splice(at, 0, mark);
}

function forgetMarks(side: Side, position: number): void {
  while (side.first < side.marks.length && (side.marks[side.first] as Mark).end <= position) side.first++;
  if (side.first < 64 || side.first * 2 < side.marks.length) return;
  side.marks = side.marks.slice(side.first);
  side.first = 0;
}

function marksIn(side: Side, start: number, end: number): Mark[] {
  const found: Mark[] = [];
  for (let i = side.first; i < side.marks.length; i++) {
    const mark = side.marks[i] as Mark;
    if (mark.start >= end) break;
    if (mark.end > start) found.push(mark);
  }
  return found;
}

function withOwnBytes(held: Held): Held {
  const { event, chunk } = ownPart(held);
  return { ...held, event, chunk };
}

/** The chunk as it may be written. */
function render(held: Held, side: Side, environment: Environment): ChunkEvent {
  const { event, chunk, start, end, repeated } = held;
  if (chunk.len === 0) return event;
  if (repeated) return environment.keepOpaque ? event : withhold(event, chunk, environment);
  const marks = marksIn(side, start, end).filter((mark) => !(mark.unread && environment.keepOpaque));
  if (marks.length === 0) return event;
  let unread = 0;
  for (const mark of marks) {
    if (mark.unread) unread += Math.min(mark.end, end) - Math.max(mark.start, start);
  }
  if (unread >= chunk.len) return withhold(event, chunk, environment);
  environment.counters.add('withheld_bytes', unread);
  const payload = Buffer.from(chunk.payload);
  for (const mark of marks) cover(payload, mark, start);
  return withChunk(event, { ...chunk, payload });
}

function withhold(event: ChunkEvent, chunk: Chunk, environment: Environment): ChunkEvent {
  environment.counters.add('withheld_chunks');
  environment.counters.add('withheld_bytes', chunk.len);
  return withChunk(event, { ...chunk, payload: Buffer.alloc(0), len: 0, withheld: chunk.len });
}

/**
 * Overwrites a range. Line ends stay in unread bytes: a message that begins
 * after one is found by it, in a replay too.
 */
function cover(payload: Buffer, mark: Mark, start: number): void {
  const from = Math.max(0, mark.start - start);
  const to = Math.min(payload.length, mark.end - start);
  if (mark.bytes !== null) {
    payload.set(mark.bytes.subarray(start + from - mark.start, start + to - mark.start), from);
    return;
  }
  if (!mark.unread) {
    payload.fill(MASK, from, to);
    return;
  }
  for (let i = from; i < to; i++) {
    const byte = payload[i];
    if (byte !== 0x0a && byte !== 0x0d) payload[i] = MASK;
  }
}
