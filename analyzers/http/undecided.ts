/** Parts of a connection whose protocol is not told yet, in the order in which they came, and how it is told. */
import type { Direction } from '../../src/event.ts';
import type { Environment } from './options.ts';
import { type Midway, createMidway, look, lookOver } from './midway.ts';
import { type Part, bytesOf, ownPart, spanOf } from './part.ts';
import { DETECT_BYTES, type Detected, detect, mayAnswer } from './protocol.ts';
import { opposite } from './streams.ts';

export type Waiting =
  | { readonly kind: 'part'; readonly part: Part }
  | { readonly kind: 'gap'; readonly before: Part; readonly position: number; readonly count: number };

interface Side {
  /** The first bytes, where they are the connection's first. */
  first: Buffer;
  midway: Midway | null;
}

export interface Undecided {
  /** What waits. */
  readonly waiting: Waiting[];
  /** The part is kept when the answer is `more`. */
  add(part: Part): Detected;
  /** `count` bytes before the part are missing. */
  addGap(before: Part, position: number, count: number): Detected;
}

const NO_BYTES = Buffer.alloc(0);

export function createUndecided({ limits }: Environment): Undecided {
  const sides: Record<Direction, Side | null> = { read: null, write: null };
  const waiting: Waiting[] = [];
  let bytes = 0;

  // In a capture that left out the first bytes, what they were was no start of anything: that is the same as the middle.
  function sideOf({ chunk }: Part, position: number): Side {
    const isMidway = position > 0 || chunk.withheld !== undefined;
    return sides[chunk.direction] ??= { first: Buffer.alloc(0), midway: isMidway ? createMidway(limits.http2SeekBytes) : null };
  }

  /** As far as they are known: empty where a direction began before the capture. */
  function firstBytes(direction: Direction): Buffer {
    return sides[direction]?.first ?? NO_BYTES;
  }

  /** Too much that tells nothing: HTTP/1 goes on seeking, and keeps none of it. */
  function keep(one: Waiting, count: number): Detected {
    bytes += count;
    if (bytes > limits.http2SeekBytes) return 'http1';
    waiting.push(one);
    return 'more';
  }

  return {
    waiting,
    add(part) {
      const { chunk } = part;
      const side = sideOf(part, chunk.position);
      const told = side.midway === null ? detectFirst(side, part) : detectMidway(side.midway, part);
      const isRefused = (told === 'http2-client' || told === 'http2-server') && !mayAnswer(firstBytes(opposite(chunk.direction)), told);
      const detected = isRefused ? 'unknown' : told;
      return detected === 'more' ? keep({ kind: 'part', part: ownPart(part) }, spanOf(chunk)) : detected;
    },
    addGap(before, position, count) {
      // After too few bytes to tell, what follows is the middle of something.
      const side = sideOf(before, position);
      side.midway ??= createMidway(limits.http2SeekBytes);
      lookOver(side.midway, position, count, false);
      return keep({ kind: 'gap', before, position, count }, 0);
    },
  };
}

function detectFirst(side: Side, { chunk }: Part): Detected {
  side.first = Buffer.concat([side.first, bytesOf(chunk).subarray(0, DETECT_BYTES - side.first.length)]);
  return detect(side.first);
}

function detectMidway(midway: Midway, { chunk }: Part): Detected {
  if (chunk.withheld === undefined || chunk.withheld === 0) return look(midway, bytesOf(chunk), chunk.position, chunk.offset === 0);
  lookOver(midway, chunk.position, chunk.withheld, true);
  return 'more';
}
