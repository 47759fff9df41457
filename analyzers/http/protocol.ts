/**
 * What a connection speaks, told by its first bytes; each protocol is one
 * implementation of `Protocol`. Others join here.
 */
import type { Direction } from '../../src/event.ts';
import { CR, LF } from '../http1/bytes.ts';
import { FRAME_HEADER_BYTES, PREFACE, SETTING_BYTES, TYPE, isPossible, readFrameHead } from '../http2/frame.ts';
import { guess } from '../http1/start-line.ts';

export interface End {
  readonly reason: string;
  /** Directions that may have gone on: all, where not the connection ended but our watching it, or those that a reset cut off. */
  readonly unfinished: readonly Direction[];
}

export interface Protocol {
  /** Bytes of one direction, in order and without repeats. `fresh`: a call of the program began with them, and it ends before `callEnd`. */
  data(direction: Direction, bytes: Buffer, position: number, fresh: boolean, callEnd: number): void;
  /** Bytes of one direction that will never come, or (`withheld`) that the capture left out. How many may be unknown: Infinity, from 0 on. */
  missing(direction: Direction, position: number, count: number, withheld: boolean, callEnd: number): void;
  /** Emits what is in progress. No call follows. */
  end(end: End): void;
}

/** Of HTTP/2: whether these bytes come from the client or the server, where they are the connection's first. */
export type Detected = 'http1' | 'http2' | 'http2-client' | 'http2-server' | 'unknown' | 'more';

/** No more bytes than these are needed to decide. */
export const DETECT_BYTES = 64;

export function detect(bytes: Buffer): Detected {
  let at = 0;
  while (bytes[at] === CR || bytes[at] === LF) at++;
  if (at === bytes.length) return bytes.length < DETECT_BYTES ? 'more' : 'unknown';
  if (at === 0 && isPrefix(bytes, PREFACE)) return bytes.length >= 16 ? 'http2-client' : 'more';
  if (at === 0 && bytes[0] === 0) return detectSettings(bytes);
  const kind = guess(bytes, at, bytes.length);
  if (kind === 'more') return bytes.length < DETECT_BYTES ? 'more' : 'unknown';
  return kind === 'other' ? 'unknown' : 'http1';
}

/** What a server sends first. */
function detectSettings(bytes: Buffer): Detected {
  if (bytes.length >= 3 && bytes.readUIntBE(0, 3) % SETTING_BYTES !== 0) return 'unknown';
  if (bytes.length >= 4 && bytes[3] !== TYPE.settings) return 'unknown';
  if (bytes.length < FRAME_HEADER_BYTES) return 'more';
  return isPossible(readFrameHead(bytes, 0)) ? 'http2-server' : 'unknown';
}

/** Whether one side may have begun with these bytes, when the other has spoken HTTP/2. */
export function mayAnswer(first: Buffer, told: 'http2-client' | 'http2-server'): boolean {
  if (first.length === 0) return true;
  if (told === 'http2-server') return isPrefix(first, PREFACE);
  return first[0] === 0 && detectSettings(first) !== 'unknown';
}

function isPrefix(bytes: Buffer, of: Buffer): boolean {
  const length = Math.min(bytes.length, of.length);
  return bytes.compare(of, 0, length, 0, length) === 0;
}
