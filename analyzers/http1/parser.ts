/**
 * Where HTTP/1 messages begin and end in one direction of one connection: an
 * incremental state machine over bytes, split anywhere (RFC 9112 §2, §6, §7).
 *
 * It frames and nothing else: heads are handed over whole for `head.ts`, bodies
 * piece by piece, decoded of the chunked coding. Body bytes are never looked at.
 * Nothing is read twice but a head, which is gathered first. Where the
 * bytes make no sense or are missing, it says `onLost` and seeks the next line that
 * starts a message: at the start of a call's data or after a line end.
 */
import { CR, LF, SEMICOLON, SPACE, TAB, hexValue, isUpper } from './bytes.ts';
import { FRAMING, type Framing } from './head.ts';
import { type MessageKind, guess, kindOfLine } from './start-line.ts';

/** What the parser found. Buffers are views, valid during the call alone; positions are wire bytes. */
export interface Http1Handler {
  /** The first byte of what may become a message. */
  onStart(): void;
  /** `whole` is false when the limit cut the head; framing is lost then, whatever is returned. */
  onHead(kind: MessageKind, head: Buffer, position: number, whole: boolean): Framing;
  onBody(bytes: Buffer, start: number, end: number, position: number): void;
  /** Bytes of a body that will not come; it goes on after them. `withheld`: the capture left them out on purpose. */
  onMissing(count: number, withheld: boolean): void;
  onTrailers(trailers: Buffer, position: number): void;
  /** The message is whole; `position` is that of the byte after it. */
  onEnd(position: number): void;
  /**
   * What follows cannot be told; the message in progress, if any, has no end.
   * `sinceStart`: nothing from the last `onStart` on was a message.
   */
  onLost(reason: string, sinceStart: boolean): void;
  /** Bytes of a head or trailer that never became whole. */
  onFragment(bytes: Buffer, position: number): void;
  /** Bytes that were skipped: no message was found in them. */
  onSkipped(from: number, to: number): void;
}

export interface Http1Limits {
  readonly httpHeadBytes: number;
  readonly httpChunkLineBytes: number;
}

const START = 0;
const LINE = 1;
const HEAD = 2;
const LENGTH = 3;
const CHUNK_SIZE = 4;
const CHUNK_EXTENSION = 5;
const CHUNK_DATA = 6;
const CHUNK_END = 7;
const TRAILERS = 8;
const UNTIL_CLOSE = 9;
const SEEK = 10;
const OPAQUE = 11;

const NOTHING = Buffer.alloc(0);
/** Enough to tell a message by `guess`, however the rest reads. */
const GUESS_BYTES = 32;
const NOT_HTTP = 'bytes that are no HTTP message';
const BAD_CHUNK = 'malformed chunk';
const LONG_TRAILERS = 'trailers over the limit';

export interface Http1Parser {
  readonly handler: Http1Handler;
  readonly limits: Http1Limits;
  state: number;
  /** What this direction carries, once one message was seen or the other direction told. */
  kind: MessageKind | null;
  /** Wire position of the first byte of the buffer being read. */
  base: number;
  /** Bytes of the body, or of its current chunk, still to come. */
  remaining: number;
  /** In a chunk's size line: how long it is so far, and whether a digit was seen. */
  sizeLine: number;
  /** Head or trailers so far, when they span buffers, and where they began. */
  gathered: Buffer;
  gatheredLength: number;
  gatherFrom: number;
  gatherPosition: number;
  /** Of the line being read: its bytes so far, and its first one. */
  lineBytes: number;
  lineFirst: number;
  /** The message is a guess made while seeking: if it fails, nothing was lost. */
  tentative: boolean;
  /** While seeking: the next byte starts a line. */
  atLine: boolean;
}

/** `seeking`: the first bytes of the connection are unknown, so wait for the start of a message. */
export function createHttp1Parser(handler: Http1Handler, limits: Http1Limits, seeking: boolean): Http1Parser {
  return {
    handler, limits, state: seeking ? SEEK : START, kind: null, base: 0, remaining: 0, sizeLine: 0,
    gathered: NOTHING, gatheredLength: 0, gatherFrom: 0, gatherPosition: 0,
    lineBytes: 0, lineFirst: 0, tentative: false, atLine: seeking,
  };
}

/** Reads the next bytes of the direction. `fresh`: a call of the program began with them. */
export function feed(p: Http1Parser, bytes: Buffer, position: number, fresh: boolean): void {
  p.base = position;
  p.gatherFrom = 0;
  if (fresh && p.state === SEEK) p.atLine = true;
  let at = 0;
  while (at < bytes.length) at = step(p, bytes, at);
  if (isGathering(p)) gather(p, bytes, p.gatherFrom, bytes.length);
  if (p.state === LINE && p.gatheredLength < GUESS_BYTES && !couldStart(p, p.gathered, p.gatheredLength)) {
    fail(p, bytes.length, false);
  }
}

/** The `count` bytes at `position` will never come. */
export function skip(p: Http1Parser, position: number, count: number, withheld: boolean): void {
  if (p.state === OPAQUE) return;
  if (p.state === SEEK) {
    // Of skipped bytes only those are withheld that begin no message: what follows them may.
    p.atLine = withheld;
    return;
  }
  if (p.state === UNTIL_CLOSE) return p.handler.onMissing(count, withheld);
  if ((p.state === LENGTH || p.state === CHUNK_DATA) && count <= p.remaining) {
    p.handler.onMissing(count, withheld);
    p.remaining -= count;
    if (p.remaining === 0) endOfPart(p, position + count);
    return;
  }
  const { tentative } = p;
  // Withheld bytes are those that made no sense when they were there.
  const reason = withheld ? faultOf(p.state) : `gap of ${count} bytes`;
  dropGathered(p);
  p.state = SEEK;
  p.atLine = withheld;
  p.tentative = false;
  if (!tentative) p.handler.onLost(reason, false);
}

function faultOf(state: number): string {
  if (state === TRAILERS) return LONG_TRAILERS;
  return state === CHUNK_SIZE || state === CHUNK_EXTENSION || state === CHUNK_END ? BAD_CHUNK : NOT_HTTP;
}

/** The direction has ended. `clean`: by the connection's end, which is how some bodies end. */
export function finish(p: Http1Parser, position: number, clean: boolean): void {
  const state = p.state;
  dropGathered(p);
  p.state = OPAQUE;
  if (state === UNTIL_CLOSE && clean) p.handler.onEnd(position);
}

/** The other direction told what this one carries. A line that was read as something else is none. */
export function expectKind(p: Http1Parser, kind: MessageKind): void {
  p.kind ??= kind;
  if (p.state !== LINE || couldStart(p, p.gathered, p.gatheredLength)) return;
  p.base = p.gatherPosition;
  fail(p, p.gatheredLength, false);
}

/** What follows is no HTTP/1 any more. */
export function makeOpaque(p: Http1Parser): void {
  dropGathered(p);
  p.state = OPAQUE;
}

/** Consumes at least one byte; returns where the next step begins. */
function step(p: Http1Parser, bytes: Buffer, at: number): number {
  switch (p.state) {
    case START: return stepStart(p, bytes, at);
    case LINE:
    case HEAD:
    case TRAILERS: return stepLines(p, bytes, at);
    case LENGTH:
    case CHUNK_DATA: return stepBody(p, bytes, at);
    case CHUNK_SIZE: return stepChunkSize(p, bytes, at);
    case CHUNK_EXTENSION: return stepChunkExtension(p, bytes, at);
    case CHUNK_END: return stepChunkEnd(p, bytes, at);
    case UNTIL_CLOSE:
      p.handler.onBody(bytes, at, bytes.length, p.base + at);
      return bytes.length;
    case SEEK: return stepSeek(p, bytes, at);
    default:
      p.handler.onSkipped(p.base + at, p.base + bytes.length);
      return bytes.length;
  }
}

/** Between messages: empty lines are allowed there (RFC 9112 §2.2). */
function stepStart(p: Http1Parser, bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === CR || byte === LF) return at + 1;
  beginLines(p, at, LINE);
  p.handler.onStart();
  return at;
}

function beginLines(p: Http1Parser, at: number, state: number): void {
  p.state = state;
  p.gatherFrom = at;
  p.gatherPosition = p.base + at;
  p.gatheredLength = 0;
  p.lineBytes = 0;
}

/** Looks for the end of the start line, of the head or of the trailers, each byte once. */
function stepLines(p: Http1Parser, bytes: Buffer, at: number): number {
  const room = p.limits.httpHeadBytes - (p.base + at - p.gatherPosition);
  const end = Math.min(bytes.length, at + room);
  let { lineBytes, lineFirst } = p;
  for (let i = at; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte !== LF) {
      if (lineBytes++ === 0) lineFirst = byte;
      continue;
    }
    if (p.state === LINE) {
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
    fail(p, newline + 1, true);
    return false;
  }
  p.kind = kind;
  p.state = HEAD;
  p.tentative = false;
  return true;
}

function tooLong(p: Http1Parser, bytes: Buffer, at: number): void {
  if (p.state === LINE) return fail(p, at, false);
  if (p.state === HEAD) return endOfLines(p, bytes, at, false);
  gather(p, bytes, p.gatherFrom, at);
  fail(p, at, false, LONG_TRAILERS);
}

function endOfLines(p: Http1Parser, bytes: Buffer, end: number, whole: boolean): void {
  const lines = p.gatheredLength === 0
    ? bytes.subarray(p.gatherFrom, end)
    : gather(p, bytes, p.gatherFrom, end);
  const { handler, kind, gatherPosition } = p;
  const state = p.state;
  p.gathered = NOTHING;
  p.gatheredLength = 0;
  p.state = START;
  if (state === TRAILERS) {
    handler.onTrailers(lines, gatherPosition);
    handler.onEnd(p.base + end);
    return;
  }
  const framing = handler.onHead(kind ?? 'request', lines, gatherPosition, whole);
  beginBody(p, whole ? framing : FRAMING.lost, p.base + end);
}

function beginBody(p: Http1Parser, framing: Framing, position: number): void {
  if (framing > 0) {
    p.remaining = framing;
    p.state = LENGTH;
  } else if (framing === FRAMING.none) {
    p.handler.onEnd(position);
  } else if (framing === FRAMING.chunked) {
    beginChunkSize(p);
  } else if (framing === FRAMING.untilClose) {
    p.state = UNTIL_CLOSE;
  } else if (framing === FRAMING.opaque) {
    p.state = OPAQUE;
  } else {
    p.state = SEEK;
    p.atLine = false;
  }
}

function stepBody(p: Http1Parser, bytes: Buffer, at: number): number {
  const end = Math.min(bytes.length, at + p.remaining);
  p.remaining -= end - at;
  p.handler.onBody(bytes, at, end, p.base + at);
  if (p.remaining === 0) endOfPart(p, p.base + end);
  return end;
}

/** The body, or its current chunk, is whole. */
function endOfPart(p: Http1Parser, position: number): void {
  if (p.state === CHUNK_DATA) {
    p.state = CHUNK_END;
    return;
  }
  p.state = START;
  p.handler.onEnd(position);
}

function beginChunkSize(p: Http1Parser): void {
  p.state = CHUNK_SIZE;
  p.remaining = 0;
  p.sizeLine = 0;
}

function stepChunkSize(p: Http1Parser, bytes: Buffer, at: number): number {
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    const digit = hexValue(byte);
    if (digit === -1) {
      if (p.sizeLine === 0 || !(byte === LF || byte === CR || byte === SEMICOLON || byte === SPACE || byte === TAB)) {
        return failChunk(p, i);
      }
      p.state = CHUNK_EXTENSION;
      return i;
    }
    p.remaining = p.remaining * 16 + digit;
    p.sizeLine++;
    if (p.remaining > Number.MAX_SAFE_INTEGER || p.sizeLine > p.limits.httpChunkLineBytes) return failChunk(p, i);
  }
  return bytes.length;
}

/** The rest of a chunk's size line: white space, extensions, CR. None of it matters here. */
function stepChunkExtension(p: Http1Parser, bytes: Buffer, at: number): number {
  const room = p.limits.httpChunkLineBytes - p.sizeLine;
  const newline = bytes.indexOf(LF, at);
  const end = newline === -1 ? bytes.length : newline + 1;
  if (end - at > room) return failChunk(p, at + room);
  p.sizeLine += end - at;
  if (newline === -1) return end;
  if (p.remaining === 0) beginLines(p, end, TRAILERS);
  else p.state = CHUNK_DATA;
  return end;
}

function stepChunkEnd(p: Http1Parser, bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === LF) beginChunkSize(p);
  else if (byte !== CR) return failChunk(p, at);
  return at + 1;
}

/** Seeks from this byte on. */
function failChunk(p: Http1Parser, at: number): number {
  p.state = SEEK;
  p.atLine = false;
  p.handler.onLost(BAD_CHUNK, false);
  return at;
}

/** The gathered line started no message: what was read of it is skipped. */
function fail(p: Http1Parser, at: number, atLine: boolean, reason: string = NOT_HTTP): void {
  const { tentative } = p;
  const sinceStart = p.state === LINE;
  p.state = SEEK;
  p.atLine = atLine;
  p.tentative = false;
  p.gathered = NOTHING;
  p.gatheredLength = 0;
  if (!tentative) p.handler.onLost(reason, sinceStart);
  p.handler.onSkipped(p.gatherPosition, p.base + at);
}

function stepSeek(p: Http1Parser, bytes: Buffer, at: number): number {
  if (p.atLine && isUpper(bytes[at])) {
    p.tentative = true;
    beginLines(p, at, LINE);
    p.handler.onStart();
    return at;
  }
  const newline = bytes.indexOf(LF, at);
  const end = newline === -1 ? bytes.length : newline + 1;
  p.atLine = newline !== -1;
  p.handler.onSkipped(p.base + at, p.base + end);
  return end;
}

function isGathering(p: Http1Parser): boolean {
  return p.state === LINE || p.state === HEAD || p.state === TRAILERS;
}

function couldStart(p: Http1Parser, bytes: Buffer, end: number): boolean {
  const kind = guess(bytes, 0, end);
  return kind === 'more' || (kind !== 'other' && (p.kind === null || p.kind === kind));
}

/** Appends to what is gathered and returns the whole of it, as a view. */
function gather(p: Http1Parser, bytes: Buffer, start: number, end: number): Buffer {
  const length = p.gatheredLength + end - start;
  if (length > p.gathered.length) {
    const grown = Buffer.allocUnsafeSlow(Math.max(length, 2 * p.gathered.length, 512));
    p.gathered.copy(grown, 0, 0, p.gatheredLength);
    p.gathered = grown;
  }
  bytes.copy(p.gathered, p.gatheredLength, start, end);
  p.gatheredLength = length;
  return p.gathered.subarray(0, length);
}

function dropGathered(p: Http1Parser): void {
  if (isGathering(p) && p.gatheredLength > 0) {
    const fragment = p.gathered.subarray(0, p.gatheredLength);
    if (p.tentative) p.handler.onSkipped(p.gatherPosition, p.gatherPosition + fragment.length);
    else p.handler.onFragment(fragment, p.gatherPosition);
  }
  p.gathered = NOTHING;
  p.gatheredLength = 0;
}
