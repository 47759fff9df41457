/**
 * A body in chunks of which bytes are missing, nobody knows how many: where does it go on? At a call of the program
 * that begins with a chunk after which another one begins, or with the last. While less is missing than the end of the
 * message and the head of a next one would take, that is no other body.
 */
import { grown } from '../grown.ts';
import { CR, LF, hexValue } from './bytes.ts';
import { beginChunkSize } from './framed.ts';
import { guess } from './start-line.ts';
import { AT, GAP, type Http1Parser, NOTHING, type Piece, seekFresh } from './state.ts';

export interface Hole {
  readonly reason: string;
  /** From this wire position on a chunk may be that of another message. */
  readonly before: number;
  /** What came since the first call that may begin a chunk. */
  bytes: Buffer;
  length: number;
  position: number;
  /** Offsets at which calls began, in order. */
  calls: number[];
}

const LAST_CHUNK_BYTES = '0\r\n\r\n'.length;
const LEAST_HEAD_BYTES = 'HTTP/1.1 200 \r\nTransfer-Encoding:chunked\r\n\r\n'.length;
const CHUNK_END_BYTES = '\r\n'.length;

/** `count` bytes at `position` are missing. Returns whether the body may go on after them. */
export function openHole(p: Http1Parser, position: number, count: number): boolean {
  if (p.state === AT.trailers) return false;
  const rest = p.state === AT.chunkData ? p.remaining + CHUNK_END_BYTES : 0;
  // Heads of one server are much alike; a next one has half of this one's length at the least.
  const before = position + rest + LAST_CHUNK_BYTES + Math.max(LEAST_HEAD_BYTES, p.headBytes / 2);
  const reason = `${GAP}${count} bytes`;
  if (position + count >= before || !p.handler.onHole(reason)) return false;
  p.state = AT.hole;
  p.hole = { reason, before, bytes: NOTHING, length: 0, position: 0, calls: [] };
  return true;
}

/** Bytes after a hole. Returns what is to be read now: nothing while that is not known. */
export function addAfterHole(p: Http1Parser, hole: Hole, { bytes, position, fresh }: Piece): Piece | null {
  if (position >= hole.before && hole.calls.length === 0) {
    giveUpHole(p);
    return { bytes, position, fresh };
  }
  if (fresh) hole.calls.push(hole.length);
  if (hole.calls.length > 0) append(hole, bytes, position);
  else p.handler.onSkipped(position, position + bytes.length);
  for (let told = judge(p, hole); told !== 'more'; told = judge(p, hole)) {
    if (told === 'other') {
      dropUpTo(p, hole, hole.calls[1] ?? hole.length);
      hole.calls.shift();
      continue;
    }
    const found = { bytes: hole.bytes.subarray(0, hole.length), position: hole.position, fresh: true };
    hole.length = 0;
    if (told === 'message') giveUpHole(p);
    else goOn(p);
    return found;
  }
  return null;
}

/** The body does not go on. Returns whether that was open. */
export function giveUpHole(p: Http1Parser): boolean {
  const { hole } = p;
  if (hole === null) return false;
  closeHole(p);
  seekFresh(p);
  p.handler.onLost(hole.reason, false);
  return true;
}

/** What was kept is nothing that can be read. */
export function closeHole(p: Http1Parser): void {
  if (p.hole !== null) dropUpTo(p, p.hole, p.hole.length);
  p.hole = null;
}

/** More bytes are missing: what is kept does not go on. */
export function breakHole(p: Http1Parser, hole: Hole): void {
  dropUpTo(p, hole, hole.length);
  hole.calls = [];
}

function goOn(p: Http1Parser): void {
  p.hole = null;
  beginChunkSize(p);
  p.handler.onResumed();
}

function append(hole: Hole, bytes: Buffer, position: number): void {
  if (hole.length === 0) hole.position = position;
  const length = hole.length + bytes.length;
  hole.bytes = grown(hole.bytes, hole.length, length);
  bytes.copy(hole.bytes, hole.length);
  hole.length = length;
}

function dropUpTo(p: Http1Parser, hole: Hole, count: number): void {
  if (count > 0) p.handler.onSkipped(hole.position, hole.position + count);
  hole.bytes = hole.bytes.subarray(count);
  hole.length -= count;
  hole.position += count;
  hole.calls = hole.calls.map((at) => at - count);
}

/** What the first call that may be it begins with. */
function judge({ limits }: Http1Parser, hole: Hole): 'chunk' | 'message' | 'more' | 'other' {
  if (hole.calls.length === 0 || hole.length === 0) return 'more';
  const bytes = hole.bytes.subarray(0, hole.length);
  if (hexValue(bytes[0] as number) === -1) {
    const kind = guess(bytes, 0, bytes.length);
    return kind === 'response' ? 'message' : kind === 'more' ? 'more' : 'other';
  }
  if (hole.position >= hole.before) return 'other';
  return lookForChunks(bytes, limits.httpChunkSeekBytes);
}

function lookForChunks(bytes: Buffer, limitBytes: number): 'chunk' | 'more' | 'other' {
  const line = readSizeLine(bytes, 0);
  if (typeof line === 'string') return line;
  const at = line.end + line.size;
  if (at > limitBytes) return 'other';
  for (const [i, byte] of [CR, LF].entries()) {
    if (at + i >= bytes.length) return 'more';
    if (bytes[at + i] !== byte) return 'other';
  }
  if (line.size === 0) return 'chunk';
  const next = readSizeLine(bytes, at + CHUNK_END_BYTES);
  return typeof next === 'string' ? next : 'chunk';
}

/** More digits tell no size that a program sends; an extension is not looked for beyond this. */
const SIZE_DIGITS = 8;
const SIZE_LINE_BYTES = 256;

function readSizeLine(bytes: Buffer, from: number): { readonly size: number; readonly end: number } | 'more' | 'other' {
  let size = 0;
  let at = from;
  for (; at < bytes.length && hexValue(bytes[at] as number) !== -1; at++) size = size * 16 + hexValue(bytes[at] as number);
  if (at - from > SIZE_DIGITS || (at === from && at < bytes.length)) return 'other';
  const newline = bytes.indexOf(LF, at);
  if ((newline === -1 ? bytes.length : newline) - from > SIZE_LINE_BYTES) return 'other';
  if (newline === -1) return 'more';
  return /^(?:[ \t]*;[^\r]*)?\r$/.test(bytes.toString('latin1', at, newline)) ? { size, end: newline + 1 } : 'other';
}
