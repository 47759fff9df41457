/**
 * Where HTTP/1 messages begin and end in one direction of one connection: an
 * incremental state machine over bytes, split anywhere (RFC 9112 §2, §6, §7).
 *
 * It frames and nothing else: heads are handed over whole for `head.ts`, bodies
 * piece by piece, decoded of the chunked coding. Body bytes are never looked at.
 * Nothing is read twice but a head, which is gathered first. Where the
 * bytes make no sense, can be framed in two ways or are missing, it says `onLost` and seeks
 * the next call of the program whose data begin a message.
 */
import { isUpper } from './bytes.ts';
import { endOfPart, stepBody, stepChunkEnd, stepChunkExtension, stepChunkSize } from './framed.ts';
import { addAfterHole, breakHole, closeHole, openHole } from './hole.ts';
import { couldStart, dropGathered, fail, gather, isGathering, stepLines, stepStart } from './lines.ts';
import type { MessageKind } from './start-line.ts';
import { AT, BAD_CHUNK, GAP, type Http1Parser, LONG_TRAILERS, NOT_HTTP, type Piece, type Place, seekFresh, startGathering } from './state.ts';
import { addAtBody, takeEarly } from './unsent.ts';

export { giveUpHole } from './hole.ts';
export { type Http1Handler, type Http1Limits, type Http1Parser, createHttp1Parser } from './state.ts';

/** Enough to tell a message by `guess`, however the rest reads. */
const GUESS_BYTES = 32;

/** Reads the next bytes of the direction. `fresh`: a call of the program began with them. */
export function feed(p: Http1Parser, bytes: Buffer, position: number, fresh: boolean): void {
  const piece = { bytes, position, fresh };
  const known = p.hole !== null ? addAfterHole(p, p.hole, piece) : p.mayLackBody ? addAtBody(p, piece) : piece;
  if (known !== null) read(p, known);
}

/** What was kept until more of it would tell. */
function readEarly(p: Http1Parser): void {
  if (p.early.length > 0) read(p, takeEarly(p));
}

function read(p: Http1Parser, { bytes, position, fresh }: Piece): void {
  p.base = position;
  p.gatherFrom = 0;
  p.fresh = fresh;
  let at = 0;
  while (at < bytes.length) at = step(p, bytes, at);
  if (!isGathering(p)) return;
  const known = p.gatheredLength;
  gather(p, bytes, p.gatherFrom, bytes.length);
  if (p.state === AT.line && known < GUESS_BYTES && !couldStart(p, p.gathered, p.gatheredLength)) {
    fail(p, bytes.length);
  }
}

/** The `count` bytes at `position` will never come. */
export function skip(p: Http1Parser, position: number, count: number, withheld: boolean): void {
  readEarly(p);
  if (p.state === AT.opaque) return;
  if (p.state === AT.seek) {
    if (!withheld) p.handler.onLost(`gap of ${count} bytes`, false);
    return;
  }
  if (p.state === AT.untilClose) return p.handler.onMissing(count, withheld);
  // What is missing may be the body, and may be the next message.
  const isSure = !p.mayLackBody || position !== p.bodyAt || withheld;
  if (isSure && (p.state === AT.length || p.state === AT.chunkData) && count <= p.remaining) {
    p.handler.onMissing(count, withheld);
    p.remaining -= count;
    if (p.remaining === 0) endOfPart(p, position + count);
    return;
  }
  if (p.hole !== null) return breakHole(p, p.hole);
  if (!withheld && isInChunks(p) && openHole(p, position, count)) return;
  const { tentative } = p;
  // Withheld bytes are those that made no sense when they were there.
  const reason = withheld ? faultOf(p.state) : `${GAP}${count} bytes`;
  dropGathered(p);
  seekFresh(p);
  // What began as a message, and was not sure to be one, may have been one.
  if (!tentative || !withheld) p.handler.onLost(reason, false);
}

/** The body being read may have ended before, where only the request would tell. Returns whether it was given up. */
export function giveUpBody(p: Http1Parser): boolean {
  readEarly(p);
  if (p.state !== AT.length && p.state !== AT.untilClose) return false;
  seekFresh(p);
  return true;
}

function faultOf(state: Place): string {
  if (state === AT.trailers) return LONG_TRAILERS;
  return state === AT.chunkSize || state === AT.chunkExtension || state === AT.chunkEnd ? BAD_CHUNK : NOT_HTTP;
}

/** The direction has ended. `clean`: by the connection's end, which is how some bodies end. */
export function finish(p: Http1Parser, position: number, clean: boolean): void {
  readEarly(p);
  const state = p.state;
  if (clean && p.mayLackBody && p.kind === 'request' && (state === AT.length || state === AT.chunkSize)) p.handler.onUnsent();
  dropGathered(p);
  closeHole(p);
  p.state = AT.opaque;
  if (state === AT.untilClose && clean) p.handler.onEnd(position);
}

/** It looks for where something begins in bytes that cannot be read. */
export function isSeeking(p: Http1Parser): boolean {
  return p.state === AT.seek || p.state === AT.hole;
}

export function isInChunks(p: Http1Parser): boolean {
  return p.state === AT.chunkSize || p.state === AT.chunkExtension || p.state === AT.chunkData || p.state === AT.chunkEnd || p.state === AT.trailers;
}

/** The other direction told what this one carries. A line that was read as something else is none. */
export function expectKind(p: Http1Parser, kind: MessageKind): void {
  p.kind ??= kind;
  if (p.state !== AT.line || couldStart(p, p.gathered, p.gatheredLength)) return;
  p.base = p.gatherPosition;
  fail(p, p.gatheredLength);
}

/** What follows is no HTTP/1 any more. */
export function makeOpaque(p: Http1Parser): void {
  readEarly(p);
  dropGathered(p);
  closeHole(p);
  p.state = AT.opaque;
}

/** Consumes at least one byte; returns where the next step begins. */
function step(p: Http1Parser, bytes: Buffer, at: number): number {
  switch (p.state) {
    case AT.start: return stepStart(p, bytes, at);
    case AT.line:
    case AT.head:
    case AT.trailers: return stepLines(p, bytes, at);
    case AT.length:
    case AT.chunkData: return stepBody(p, bytes, at);
    case AT.chunkSize: return stepChunkSize(p, bytes, at);
    case AT.chunkExtension: return stepChunkExtension(p, bytes, at);
    case AT.chunkEnd: return stepChunkEnd(p, bytes, at);
    case AT.untilClose:
      p.handler.onBody(bytes, at, bytes.length, p.base + at);
      return bytes.length;
    case AT.seek: return stepSeek(p, bytes, at);
    default:
      p.handler.onOpaque(bytes, at, p.base + at);
      return bytes.length;
  }
}

function stepSeek(p: Http1Parser, bytes: Buffer, at: number): number {
  if (p.fresh && at === 0 && isUpper(bytes[at])) {
    p.tentative = true;
    p.state = AT.line;
    startGathering(p, at);
    p.handler.onStart();
    return at;
  }
  p.handler.onSkipped(p.base + at, p.base + bytes.length);
  return bytes.length;
}
