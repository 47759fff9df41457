/**
 * Tells requests and responses by their first line (RFC 9112 §3 and §4).
 *
 * Content decides, not direction: a traced server reads requests, a traced
 * client writes them. Methods are taken as upper-case letters, digits, `-` and
 * `_`, as every registered one is, so that plain text is not taken for HTTP.
 */
import { CR, SPACE, isDigit, isUpper } from './bytes.ts';

export type MessageKind = 'request' | 'response';
/** `more`: what is there could still become a message. */
export type Guess = MessageKind | 'more' | 'other';

/** Longer than any registered method (RFC 9110's registry ends at 17). */
const METHOD_BYTES = 24;
const VERSION = Buffer.from('HTTP/1.', 'latin1');

/** What the first bytes of a line could be the start of. */
export function guess(bytes: Buffer, start: number, end: number): Guess {
  if (start >= end) return 'more';
  if (startsLikeVersion(bytes, start, end)) return end - start >= VERSION.length ? 'response' : 'more';
  return guessMethod(bytes, start, end);
}

function startsLikeVersion(bytes: Buffer, start: number, end: number): boolean {
  const length = Math.min(end - start, VERSION.length);
  for (let i = 0; i < length; i++) {
    if (bytes[start + i] !== VERSION[i]) return false;
  }
  return true;
}

function guessMethod(bytes: Buffer, start: number, end: number): Guess {
  if (!isUpper(bytes[start])) return 'other';
  const limit = Math.min(end, start + METHOD_BYTES);
  for (let i = start + 1; i < limit; i++) {
    const byte = bytes[i];
    if (byte === SPACE) return 'request';
    if (!isUpper(byte) && !isDigit(byte) && byte !== 0x2d && byte !== 0x5f) return 'other';
  }
  return limit - start >= METHOD_BYTES ? 'other' : 'more';
}

/** The kind of a whole line, without its line end, or null when it starts no message. */
export function kindOfLine(bytes: Buffer, start: number, end: number): MessageKind | null {
  const to = end > start && bytes[end - 1] === CR ? end - 1 : end;
  switch (guess(bytes, start, to)) {
    case 'response':
      return isStatusLine(bytes, start, to) ? 'response' : null;
    case 'request':
      return isRequestLine(bytes, start, to) ? 'request' : null;
    default:
      return null;
  }
}

/** `HTTP/1.x SP 3DIGIT`, and then nothing or a space. */
function isStatusLine(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 12 || (end - start > 12 && bytes[start + 12] !== SPACE)) return false;
  return isDigit(bytes[start + 7]) && bytes[start + 8] === SPACE
    && isDigit(bytes[start + 9]) && isDigit(bytes[start + 10]) && isDigit(bytes[start + 11]);
}

/** `METHOD SP target SP HTTP/1.x`: two spaces, with a target between them. */
function isRequestLine(bytes: Buffer, start: number, end: number): boolean {
  const version = end - 8;
  if (version - start < 4 || !startsLikeVersion(bytes, version, end) || !isDigit(bytes[end - 1])) return false;
  if (bytes[version - 1] !== SPACE) return false;
  for (let i = start; i < version; i++) {
    if (bytes[i] === SPACE) return i < version - 2 && bytes.indexOf(SPACE, i + 1) === version - 1;
  }
  return false;
}
