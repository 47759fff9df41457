/**
 * Finds a frame boundary among bytes whose start is not known: where three
 * heads of frames follow each other, each where the one before says, or two
 * when a call of the program began with the first. A head that is likely by
 * chance is one in some 2^30; so three are a proof.
 */
import { grown } from '../grown.ts';
import { FLAG, FRAME_HEADER_BYTES, type FrameHead, TYPE, isLikely, isPadded, prefixOf, readFrameHead } from './frame.ts';

const PROOF_HEADS = 3;
const PROOF_HEADS_AT_CALL = 2;
/** More than come by chance; text that is made of heads of frames is not looked at for longer. */
const CANDIDATES_MAX = 256;
const NOTHING = Buffer.alloc(0);

interface Candidate {
  readonly at: number;
  readonly needed: number;
}

export interface Seeker {
  readonly limitBytes: number;
  /** What is looked at; `base` is the wire position of its first byte. */
  bytes: Buffer;
  length: number;
  base: number;
  /** Offsets at which calls began. */
  calls: number[];
  /** The next offset to look at, and earlier ones that may still be it, in order. */
  next: number;
  candidates: Candidate[];
  /** Bytes that are not there, from offset to offset: a capture left them out, so no head was in them. */
  holes: { readonly start: number; readonly end: number }[];
}

export function createSeeker(limitBytes: number): Seeker {
  return { limitBytes, bytes: NOTHING, length: 0, base: 0, calls: [], next: 0, candidates: [], holes: [] };
}

export function resetSeeker(s: Seeker): void {
  s.bytes = NOTHING;
  s.length = 0;
  s.calls = [];
  s.next = 0;
  s.candidates = [];
  s.holes = [];
}

/** Adds bytes; `fresh`: a call began with them. Returns the offset of a boundary, or -1 while none is proven. */
export function seek(s: Seeker, bytes: Buffer, position: number, fresh: boolean): number {
  if (fresh) s.calls.push(s.length);
  append(s, bytes, position);
  return look(s);
}

/** Adds bytes that are known to be there and not what they are. */
export function seekOver(s: Seeker, position: number, count: number): void {
  if (count > s.limitBytes) {
    resetSeeker(s);
    return;
  }
  s.holes.push({ start: s.length, end: s.length + count });
  append(s, Buffer.alloc(count, 0xff), position);
  look(s);
}

/** Offset up to which nothing can be a boundary any more. */
export function refuted(s: Seeker): number {
  return s.candidates[0]?.at ?? s.next;
}

/** Forgets what is before `refuted`. Returns how many bytes that were. */
export function trim(s: Seeker): number {
  let count = refuted(s);
  if (s.length - count > s.limitBytes) count = s.length - s.limitBytes;
  if (count < 4096 && count < s.length && s.length <= s.limitBytes) return 0;
  s.bytes = Buffer.from(s.bytes.subarray(count, s.length));
  s.length -= count;
  s.base += count;
  s.next = Math.max(0, s.next - count);
  s.calls = s.calls.map((at) => at - count).filter((at) => at >= 0);
  s.candidates = s.candidates.map(({ at, needed }) => ({ at: at - count, needed })).filter(({ at }) => at >= 0);
  s.holes = s.holes.map(({ start, end }) => ({ start: Math.max(0, start - count), end: end - count })).filter(({ end }) => end > 0);
  return count;
}

function append(s: Seeker, bytes: Buffer, position: number): void {
  if (s.length === 0) s.base = position;
  const length = s.length + bytes.length;
  s.bytes = grown(s.bytes, s.length, length);
  bytes.copy(s.bytes, s.length);
  s.length = length;
}

function look(s: Seeker): number {
  const calls = new Set(s.calls);
  const earlier = s.candidates;
  s.candidates = [];
  for (const candidate of earlier) {
    if (judge(s, candidate)) return firstThrough(s, candidate.at);
  }
  for (; s.next + FRAME_HEADER_BYTES <= s.length; s.next++) {
    const zero = s.bytes.subarray(0, s.length).indexOf(0, s.next);
    if (zero === -1 || zero + FRAME_HEADER_BYTES > s.length) {
      s.next = zero === -1 ? s.length : zero;
      break;
    }
    s.next = zero;
    if (judge(s, { at: zero, needed: calls.has(zero) ? PROOF_HEADS_AT_CALL : PROOF_HEADS })) return firstThrough(s, zero);
  }
  return -1;
}

/** Whether it is proven; it stays a candidate while it is not refuted either. */
function judge(s: Seeker, candidate: Candidate): boolean {
  let at = candidate.at;
  let block = 0;
  for (let heads = 0; heads < candidate.needed; heads++) {
    if (at + FRAME_HEADER_BYTES > s.length) return mayStill(s, candidate);
    if (!isLikely(s.bytes, at)) return false;
    const head = readFrameHead(s.bytes, at);
    if (heads > 0 && !follows(head, block)) return false;
    block = openBlock(head);
    at += FRAME_HEADER_BYTES;
    // One with more padding than it has room for is read no further, so it leads to no other.
    if (isPadded(head) && heads + 1 < candidate.needed && at < s.length && prefixOf(head) + (s.bytes[at] as number) > head.length) return false;
    at += head.length;
  }
  return true;
}

function mayStill({ candidates }: Seeker, candidate: Candidate): false {
  if (candidates.length < CANDIDATES_MAX) candidates.push(candidate);
  return false;
}

/** Within a header block comes its continuation and nothing else. */
function follows({ type, stream }: FrameHead, block: number): boolean {
  return type === TYPE.continuation ? stream === block : block === 0;
}

/** The stream whose header block goes on after this frame, or 0. */
function openBlock({ type, flags, stream }: FrameHead): number {
  const begins = type === TYPE.headers || type === TYPE.push || type === TYPE.continuation;
  return begins && (flags & FLAG.endHeaders) === 0 ? stream : 0;
}

/** The earliest candidate whose frames lead to the proven boundary. */
function firstThrough(s: Seeker, proven: number): number {
  for (const { at } of s.candidates) {
    let frame = at;
    while (frame < proven) frame += FRAME_HEADER_BYTES + s.bytes.readUIntBE(frame, 3);
    if (frame === proven) return at;
  }
  return proven;
}
