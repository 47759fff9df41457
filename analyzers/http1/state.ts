/** The state of the HTTP/1 machine, and what it tells of what it found. */
import type { HttpFlag } from '../../src/event.ts';
import type { Framing } from './framing.ts';
import type { Hole } from './hole.ts';
import type { MessageKind } from './start-line.ts';

/** What the parser found. Buffers are views, valid during the call alone; positions are wire bytes. */
export interface Http1Handler {
  /** The first byte of what may become a message. */
  onStart(): void;
  /** `whole` is false when the limit cut the head; framing is lost then, whatever is returned. */
  onHead(kind: MessageKind, head: Buffer, position: number, whole: boolean): Framing;
  onBody(bytes: Buffer, start: number, end: number, position: number): void;
  /** Bytes of a body that will not come; it goes on after them. `withheld`: the capture left them out on purpose. */
  onMissing(count: number, withheld: boolean): void;
  /** Bytes of a body in chunks, and of what is between them, will not come. Returns whether it is of use if it goes on after them. */
  onHole(reason: string): boolean;
  /** It does. */
  onResumed(): void;
  /** Returns why the message's end cannot be trusted, or null. */
  onTrailers(trailers: Buffer, position: number): string | null;
  /** Something odd about the message's chunks. */
  onFlag(flag: HttpFlag): void;
  /** What a chunk's size line says beyond its size, the line end left out. */
  onExtension(from: number, to: number): void;
  /** Its body was not sent: another message is in its place. */
  onUnsent(): void;
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
  /** The rest of the bytes being read, from `at` on, once this is no HTTP/1 any more. */
  onOpaque(bytes: Buffer, at: number, position: number): void;
}

export interface Http1Limits {
  readonly httpHeadBytes: number;
  readonly httpChunkLineBytes: number;
  readonly httpChunkSeekBytes: number;
}

/** Bytes in order. `fresh`: a call of the program began with them. */
export interface Piece {
  readonly bytes: Buffer;
  readonly position: number;
  readonly fresh: boolean;
}

/** Where in a message the next byte is. */
export const AT = {
  start: 0,
  line: 1,
  head: 2,
  length: 3,
  chunkSize: 4,
  chunkExtension: 5,
  chunkData: 6,
  chunkEnd: 7,
  trailers: 8,
  untilClose: 9,
  seek: 10,
  opaque: 11,
  hole: 12,
} as const;
export type Place = (typeof AT)[keyof typeof AT];

export const NOTHING = Buffer.alloc(0);
export const NOT_HTTP = 'bytes that are no HTTP message';
export const GAP = 'gap of ';
export const BAD_CHUNK = 'malformed chunk';
export const BAD_SIZE = 'chunk size beyond what can be counted';
export const LONG_TRAILERS = 'trailers over the limit';

/** In the line of a chunk's size, and in the one that ends its data. */
export const IN = { size: 0, padding: 1, extension: 2, lineEnd: 3 } as const;
export type SizePart = (typeof IN)[keyof typeof IN];

export interface Http1Parser {
  readonly handler: Http1Handler;
  readonly limits: Http1Limits;
  state: Place;
  /** What this direction carries, once one message was seen or the other direction told. */
  kind: MessageKind | null;
  /** Wire position of the first byte of the buffer being read. */
  base: number;
  /** Bytes of the body, or of its current chunk, still to come. */
  remaining: number;
  /** In a chunk's size line: how long it is so far, and what its last byte belongs to. */
  sizeLine: number;
  sizePart: SizePart;
  /** Head or trailers so far, when they span buffers, and where they began. */
  gathered: Buffer;
  gatheredLength: number;
  gatherFrom: number;
  gatherPosition: number;
  /** Of the line being read: its bytes so far, and its first one. */
  lineBytes: number;
  lineFirst: number;
  /** How long the last head was. */
  headBytes: number;
  /** What is known of a body that may go on after a gap. */
  hole: Hole | null;
  /** Where the body begins, if there is one; it may be that none was sent. */
  bodyAt: number;
  mayLackBody: boolean;
  /** What came there while it is not told. */
  early: Buffer;
  /** The message is a guess made while seeking: if it fails, nothing was lost. */
  tentative: boolean;
  /** While seeking: a call of the program began with the next byte. */
  fresh: boolean;
}

/** `seeking`: the first bytes of the connection are unknown, so wait for the start of a message. */
export function createHttp1Parser(handler: Http1Handler, limits: Http1Limits, seeking: boolean): Http1Parser {
  return {
    handler, limits, state: seeking ? AT.seek : AT.start, kind: null, base: 0, remaining: 0, sizeLine: 0, sizePart: IN.size,
    gathered: NOTHING, gatheredLength: 0, gatherFrom: 0, gatherPosition: 0,
    lineBytes: 0, lineFirst: 0, headBytes: 0, hole: null, bodyAt: 0, mayLackBody: false, early: NOTHING, tentative: false, fresh: false,
  };
}

/**
 * What comes next cannot be told. A program begins a message with a call of its own, unless it
 * pipelines; any other line may be text of a body that only looks like the start of one.
 */
export function seekFresh(p: Http1Parser): void {
  p.state = AT.seek;
  p.tentative = false;
}

/** Lines to be read as one begin at this byte of the buffer. */
export function startGathering(p: Http1Parser, at: number): void {
  p.gatherFrom = at;
  p.gatherPosition = p.base + at;
  p.gatheredLength = 0;
  p.lineBytes = 0;
}
