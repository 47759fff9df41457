/**
 * Finds where frames of a WebSocket begin again after bytes were lost. They carry no mark to look for, so a
 * frame is sought only where a call of the program begins, and has to prove itself. What speaks for it is counted in points, each
 * of which bytes of a payload get by chance in one of seven cases or fewer: seven points prove it, one in some 500,000.
 *
 * - A frame that ends a message and has a payload: its reserved bits, opcode, mask and length are possible here, and it comes where
 *   the one before it ends. Two bytes by chance are in one of 50 cases.
 * - It ends where its call ends, or at least where a call ends.
 * - Text of some characters that can be read, and a close with a code that there is.
 *
 * So a text message in a call of its own proves itself, and one in binary by the head of the next frame.
 */
import { grown } from '../grown.ts';
import { isUtf8 } from 'node:buffer';
import { HEAD_BYTES_MAX, LENGTH_16, OPCODE, faultOf, headLength, isControl, lengthOf } from './head.ts';
import { unmask } from './mask.ts';

export interface SeekOptions {
  readonly limitBytes: number;
  readonly fromClient: boolean;
  /** permessage-deflate was agreed on. */
  readonly deflate: boolean;
}

/** Where a call of the program begins and ends. */
export interface Call {
  /** It begins with the bytes that come. */
  readonly fresh: boolean;
  /** Wire position behind its last byte. */
  readonly end: number;
}

export interface Piece {
  /** Offset of its first byte; offsets count what came since the search began. */
  readonly start: number;
  readonly length: number;
  readonly position: number;
  /** It is there and nobody knows what it is: a capture left it out, so no head is in it. */
  readonly hole: boolean;
}

interface Walked {
  readonly fin: boolean;
  readonly opcode: number;
  readonly rsv1: boolean;
  readonly key: Buffer | null;
  readonly payload: number;
  readonly end: number;
}

interface Candidate {
  /** Offset of the first frame, and of the one to be looked at. */
  from: number;
  at: number;
  points: number;
  /** The frame before `at`, until its end was looked at. */
  frame: Walked | null;
  /** It was counted that the frame ends where a call ends. */
  filled: boolean;
  /** Whether a message is in progress: known from the first data frame on. */
  message: 'unknown' | 'open' | 'none' | 'closed';
}

export interface Seeker {
  readonly options: SeekOptions;
  /** What may still be read, from offset `base` to `length`. */
  bytes: Buffer;
  base: number;
  length: number;
  pieces: Piece[];
  /** Offsets at which calls end. */
  ends: Set<number>;
  candidates: Candidate[];
}

const PROOF_POINTS = 7;
/** `longCall`: a length of 16 bits and more is that of its call. */
const POINTS = { head: 2, readable: 2, anyCall: 1, ownCall: 3, longCall: 5 };
/** Longer messages that are not in one call are rare, and a head by chance would be waited on for as long. */
const LIKELY_LENGTH = 1 << 20;
const CANDIDATES_MAX = 256;
/** Less text says too little. */
const TEXT_BYTES = 4;
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;
/** Fewer are not worth a copy. */
const KEPT_BYTES = 4096;
const NOTHING = Buffer.alloc(0);

type Told = 'proven' | 'refuted' | 'waits';

export function createSeeker(options: SeekOptions): Seeker {
  return { options, bytes: NOTHING, base: 0, length: 0, pieces: [], ends: new Set(), candidates: [] };
}

/** Adds bytes. Returns the offset of a frame that is proven, or -1. */
export function seek(s: Seeker, bytes: Buffer, position: number, { fresh, end }: Call): number {
  if (fresh && s.candidates.length < CANDIDATES_MAX) {
    s.candidates.push({ from: s.length, at: s.length, points: 0, frame: null, filled: false, message: 'unknown' });
  }
  s.ends.add(s.length + end - position);
  append(s, bytes, position, false);
  return look(s);
}

/** Adds bytes that are there, but for what they are; no more than the limit. */
export function seekOver(s: Seeker, position: number, count: number, end: number): number {
  s.ends.add(s.length + end - position);
  append(s, Buffer.alloc(count), position, true);
  return look(s);
}

/** Takes out the pieces before `offset`. */
export function takeBefore(s: Seeker, offset: number): readonly Piece[] {
  const taken: Piece[] = [];
  const kept: Piece[] = [];
  for (const piece of s.pieces) {
    const count = Math.min(piece.length, Math.max(0, offset - piece.start));
    if (count > 0) taken.push({ ...piece, length: count });
    if (count < piece.length) kept.push({ ...piece, start: piece.start + count, length: piece.length - count, position: piece.position + count });
  }
  s.pieces = kept;
  return taken;
}

/** Offset before which nothing can be proven any more. */
export function refuted(s: Seeker): number {
  const cut = s.length - s.options.limitBytes;
  for (const one of s.candidates) {
    // What is too much to keep is lost, and the frames after it may be found all the same.
    if (one.from < cut) one.from = Math.max(one.at, one.frame?.end ?? 0);
  }
  return Math.min(s.length, ...s.candidates.map(({ from }) => from));
}

/** Forgets the bytes before `offset`. */
export function forget(s: Seeker, offset: number): void {
  if (offset < s.length && offset - s.base < KEPT_BYTES) return;
  s.bytes = offset < s.length ? Buffer.from(s.bytes.subarray(offset - s.base, s.length - s.base)) : NOTHING;
  s.base = offset;
  for (const end of s.ends) if (end < offset) s.ends.delete(end);
}

export function bytesOf(s: Seeker, { start, length }: Piece): Buffer {
  return s.bytes.subarray(start - s.base, start - s.base + length);
}

function append(s: Seeker, bytes: Buffer, position: number, hole: boolean): void {
  const { length } = s;
  s.length += bytes.length;
  const last = s.pieces.at(-1);
  if (last !== undefined && last.hole === hole && last.position + last.length === position) s.pieces[s.pieces.length - 1] = { ...last, length: last.length + bytes.length };
  else s.pieces.push({ start: length, length: bytes.length, position, hole });
  if (s.candidates.length === 0) {
    s.base = s.length;
    return;
  }
  const used = length - s.base;
  s.bytes = grown(s.bytes, used, used + bytes.length);
  bytes.copy(s.bytes, used);
}

/** Of two that are proven at once, the first leads to the second. */
function look(s: Seeker): number {
  const left: Candidate[] = [];
  for (const one of s.candidates) {
    const told = walk(s, one);
    if (told === 'proven') return one.from;
    if (told === 'waits') left.push(one);
  }
  s.candidates = left;
  return -1;
}

function walk(s: Seeker, one: Candidate): Told {
  for (;;) {
    const frame = one.frame ?? headAt(s, one);
    if (typeof frame === 'string') return frame;
    if (!one.filled && isEvidence(frame) && s.ends.has(frame.end)) {
      one.filled = true;
      one.points += callPoints(s, one.at, frame);
    }
    if (one.points >= PROOF_POINTS) return 'proven';
    if (frame.end > s.length) return 'waits';
    const readable = isReadable(s, frame);
    if (readable === false) return 'refuted';
    if (readable === true) one.points += POINTS.readable;
    if (one.points >= PROOF_POINTS) return 'proven';
    one.at = frame.end;
    one.frame = null;
    one.filled = false;
  }
}

/** The frame that begins at `at`, or why there is none. */
function headAt(s: Seeker, one: Candidate): Walked | Told {
  const { fromClient, deflate } = s.options;
  const head = s.bytes.subarray(one.at - s.base, Math.min(s.length, one.at + HEAD_BYTES_MAX) - s.base);
  if (head.length > 0 && isHoleIn(s, one.at, one.at + 1)) return 'refuted';
  if (head.length < 2) return 'waits';
  const bytes = headLength(head, head.length);
  if (faultOf(head, head.length < bytes ? 'two' : 'whole', fromClient) !== null) return 'refuted';
  if (head.length < bytes) return 'waits';
  const first = head[0] as number;
  const frame: Walked = {
    fin: first >= 0x80, opcode: first & 0x0f, rsv1: (first & 0x40) !== 0, key: fromClient ? Buffer.from(head.subarray(bytes - 4, bytes)) : null,
    payload: one.at + bytes, end: one.at + bytes + lengthOf(head),
  };
  if (!mayFollow(one, frame) || (frame.rsv1 && !deflate) || (lengthOf(head) > LIKELY_LENGTH && !s.ends.has(frame.end))) return 'refuted';
  one.frame = frame;
  if (isEvidence(frame)) one.points += POINTS.head;
  return frame;
}

/** Zeros, and small numbers in rows, look like fragments and like frames without a payload. */
function isEvidence({ fin, payload, end }: Walked): boolean {
  return fin && end > payload;
}

/** It ends where a call ends: its own, where no other ends before. */
function callPoints({ ends }: Seeker, at: number, { payload, end }: Walked): number {
  for (const one of ends) if (one > at && one < end) return POINTS.anyCall;
  return end - payload >= LENGTH_16 ? POINTS.longCall : POINTS.ownCall;
}

function mayFollow(one: Candidate, { opcode, fin, rsv1 }: Walked): boolean {
  if (one.message === 'closed') return false;
  if (isControl(opcode)) {
    if (opcode === OPCODE.close) one.message = 'closed';
    return !rsv1;
  }
  const isFirst = opcode !== OPCODE.continuation;
  if (isFirst ? one.message === 'open' : one.message === 'none' || rsv1) return false;
  one.message = fin ? 'none' : 'open';
  return true;
}

/** Whether the payload is what its frame says; null where that cannot be told. */
function isReadable(s: Seeker, { opcode, fin, rsv1, key, payload, end }: Walked): boolean | null {
  const isText = opcode === OPCODE.text && fin && !rsv1;
  if (end === payload || payload < s.base || (!isText && opcode !== OPCODE.close)) return null;
  if (isHoleIn(s, payload, end)) return null;
  const bytes = unmask(s.bytes.subarray(payload - s.base, end - s.base), key, 0);
  if (!isText) return bytes.length > 1 && isCloseCode(bytes.readUInt16BE(0)) && isUtf8(bytes.subarray(2));
  if (!isUtf8(bytes)) return false;
  return (bytes.length >= TEXT_BYTES && !CONTROL.test(bytes.toString('utf8'))) || null;
}

function isHoleIn({ pieces }: Seeker, from: number, to: number): boolean {
  return pieces.some(({ hole, start, length }) => hole && start < to && start + length > from);
}

/** Those of the standard, and those that are free to use (RFC 6455 §7.4). */
function isCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1015) || (code >= 3000 && code <= 4999);
}
