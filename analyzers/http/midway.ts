/**
 * What one direction of a connection speaks that was joined in its middle: HTTP/1
 * where a line begins a message, HTTP/2 where frames follow each other.
 */
import { LF } from '../http1/bytes.ts';
import { guess, kindOfLine } from '../http1/start-line.ts';
import { type Seeker, createSeeker, resetSeeker, seek, seekOver, trim } from '../http2/seek.ts';

export interface Midway {
  readonly seeker: Seeker;
  /** The next byte starts a line. */
  atLine: boolean;
  /** The line being read, while it could begin a message. */
  line: Buffer | null;
}

/** A request's line can be long; one that is longer is none that tells a protocol. */
const LINE_BYTES = 16 * 1024;
const NOTHING = Buffer.alloc(0);

export function createMidway(seekBytes: number): Midway {
  return { seeker: createSeeker(seekBytes), atLine: false, line: null };
}

export function look(m: Midway, bytes: Buffer, position: number, fresh: boolean): 'http1' | 'http2' | 'more' {
  if (seek(m.seeker, bytes, position, fresh) !== -1) return 'http2';
  trim(m.seeker);
  if (fresh) m.atLine = true;
  return lookForLine(m, bytes) ? 'http1' : 'more';
}

/** Bytes that are not there; withheld ones began no message, so what follows may. */
export function lookOver(m: Midway, position: number, count: number, withheld: boolean): void {
  if (withheld) seekOver(m.seeker, position, count);
  else resetSeeker(m.seeker);
  m.atLine = withheld;
  m.line = null;
}

function lookForLine(m: Midway, bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length;) {
    const newline = bytes.indexOf(LF, at);
    const end = newline === -1 ? bytes.length : newline;
    if (m.atLine) m.line = NOTHING;
    if (m.line !== null) {
      m.line = Buffer.concat([m.line, bytes.subarray(at, Math.min(end, at + LINE_BYTES))]);
      if (newline !== -1 && kindOfLine(m.line, 0, m.line.length) !== null) return true;
      if (m.line.length > LINE_BYTES || guess(m.line, 0, m.line.length) === 'other') m.line = null;
    }
    m.atLine = newline !== -1;
    at = end + 1;
  }
  return false;
}
