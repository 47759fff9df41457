/** Heads and trailers: gathers their lines up to the empty one, and tells what is none. */
import { grown } from '../grown.ts';
import { CR, LF } from './bytes.ts';
import { beginBody } from './framed.ts';
import { FRAMING } from './framing.ts';
import { guess, kindOfLine } from './start-line.ts';
import { AT, type Http1Parser, LONG_TRAILERS, NOTHING, NOT_HTTP, seekFresh, startGathering } from './state.ts';

/** Between messages: empty lines are allowed there (RFC 9112 §2.2). */
export function stepStart(p: Http1Parser, bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === CR || byte === LF) return at + 1;
  p.state = AT.line;
  startGathering(p, at);
  p.handler.onStart();
  return at;
}

/** Looks for the end of the start line, of the head or of the trailers, each byte once. */
export function stepLines(p: Http1Parser, bytes: Buffer, at: number): number {
  const room = p.limits.httpHeadBytes - (p.base + at - p.gatherPosition);
  const end = Math.min(bytes.length, at + room);
  let { lineBytes, lineFirst } = p;
  for (let i = at; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte !== LF) {
      if (lineBytes++ === 0) lineFirst = byte;
      continue;
    }
    if (p.state === AT.line) {
      if (!takeStartLine(p, bytes, i)) return i + 1;
    } else if (lineBytes === 0 || (lineBytes === 1 && lineFirst === CR)) {
      endOfLines(p, bytes, i + 1, true);
      return i + 1;
    }
    lineBytes = 0;
  }
  p.lineBytes = lineBytes;
  p.lineFirst = lineFirst;
  if (room <= bytes.length - at) tooLong(p, bytes, end);
  return end;
}

/** At the LF of the first line: is it one that starts a message of this direction? */
function takeStartLine(p: Http1Parser, bytes: Buffer, newline: number): boolean {
  const kind = p.gatheredLength === 0
    ? kindOfLine(bytes, p.gatherFrom, newline)
    : kindOfLine(gather(p, bytes, p.gatherFrom, newline), 0, p.gatheredLength);
  if (p.gatheredLength > 0) p.gatherFrom = newline;
  if (kind === null || (p.kind !== null && p.kind !== kind)) {
    fail(p, newline + 1);
    return false;
  }
  p.kind = kind;
  p.state = AT.head;
  p.tentative = false;
  return true;
}

function tooLong(p: Http1Parser, bytes: Buffer, at: number): void {
  if (p.state === AT.line) return fail(p, at);
  if (p.state === AT.head) return endOfLines(p, bytes, at, false);
  gather(p, bytes, p.gatherFrom, at);
  fail(p, at, LONG_TRAILERS);
}

function endOfLines(p: Http1Parser, bytes: Buffer, end: number, whole: boolean): void {
  const lines = p.gatheredLength === 0
    ? bytes.subarray(p.gatherFrom, end)
    : gather(p, bytes, p.gatherFrom, end);
  const { handler, kind, gatherPosition } = p;
  const state = p.state;
  p.gathered = NOTHING;
  p.gatheredLength = 0;
  p.state = AT.start;
  if (state === AT.trailers) {
    const fault = handler.onTrailers(lines, gatherPosition);
    if (fault === null) return handler.onEnd(p.base + end);
    // Where they end is not sure, either.
    seekFresh(p);
    return handler.onLost(fault, false);
  }
  p.headBytes = lines.length;
  p.mayLackBody = false;
  const framing = handler.onHead(kind ?? 'request', lines, gatherPosition, whole);
  beginBody(p, whole ? framing : FRAMING.lost, p.base + end);
}

/** The gathered line started no message: what was read of it is skipped. */
export function fail(p: Http1Parser, at: number, reason: string = NOT_HTTP): void {
  const { tentative } = p;
  const sinceStart = p.state === AT.line;
  seekFresh(p);
  p.gathered = NOTHING;
  p.gatheredLength = 0;
  if (!tentative) p.handler.onLost(reason, sinceStart);
  p.handler.onSkipped(p.gatherPosition, p.base + at);
}

export function couldStart(p: Http1Parser, bytes: Buffer, end: number): boolean {
  const kind = guess(bytes, 0, end);
  return kind === 'more' || (kind !== 'other' && (p.kind === null || p.kind === kind));
}

export function isGathering(p: Http1Parser): boolean {
  return p.state === AT.line || p.state === AT.head || p.state === AT.trailers;
}

/** Appends to what is gathered and returns the whole of it, as a view. */
export function gather(p: Http1Parser, bytes: Buffer, start: number, end: number): Buffer {
  const length = p.gatheredLength + end - start;
  p.gathered = grown(p.gathered, p.gatheredLength, length);
  bytes.copy(p.gathered, p.gatheredLength, start, end);
  p.gatheredLength = length;
  return p.gathered.subarray(0, length);
}

export function dropGathered(p: Http1Parser): void {
  if (isGathering(p) && p.gatheredLength > 0) {
    const fragment = p.gathered.subarray(0, p.gatheredLength);
    if (p.tentative) p.handler.onSkipped(p.gatherPosition, p.gatherPosition + fragment.length);
    else p.handler.onFragment(fragment, p.gatherPosition);
  }
  p.gathered = NOTHING;
  p.gatheredLength = 0;
}
