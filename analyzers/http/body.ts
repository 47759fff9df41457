/**
 * The body of one message: its first bytes up to the limits, and the exact
 * count of all. Kept bytes are our own, because a view would keep the whole
 * batch it came in alive; only a body that arrives in one piece, and so is done with
 * at once, is viewed.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { TextEncoding } from '../../src/event.ts';
import type { Environment } from './options.ts';

export interface Body {
  /** Bytes that the body has, kept or not, seen or missing. */
  total: number;
  /** Bytes of it that were seen. */
  seen: number;
  /** Bytes that those were decoded to, where they are coded. */
  decoded: number;
  kept: Buffer;
  length: number;
  /** Fewer bytes are kept than were seen. */
  truncated: boolean;
  /** `kept` is a view of somebody else's bytes. */
  borrowed: boolean;
  charged: number;
}

export interface BodyText {
  readonly text: string | null;
  readonly encoding: TextEncoding;
}

const NOTHING = Buffer.alloc(0);
const FIRST_BYTES = 4096;

export function createBody(): Body {
  return { total: 0, seen: 0, decoded: 0, kept: NOTHING, length: 0, truncated: false, borrowed: false, charged: 0 };
}

/** `expected` is the body's whole length where it is known, else negative. */
export function appendBody(
  body: Body, environment: Environment, bytes: Buffer, start: number, end: number, expected: number,
): void {
  const count = end - start;
  countBytes(body, count);
  if (count === expected && count <= environment.limits.httpBodyBytes) {
    body.kept = bytes.subarray(start, end);
    body.length = count;
    body.borrowed = true;
    return;
  }
  keep(body, environment, bytes, start, end, expected);
}

/** For a coded body: its bytes are counted as they are on the wire, and kept decoded. */
export function countBytes(body: Body, count: number): void {
  body.total += count;
  body.seen += count;
}

export function keepDecoded(body: Body, environment: Environment, bytes: Buffer): void {
  body.decoded += bytes.length;
  keep(body, environment, bytes, 0, bytes.length, -1);
}

function keep(body: Body, environment: Environment, bytes: Buffer, start: number, end: number, expected: number): void {
  if (body.truncated) return;
  const take = reserve(body, environment, end - start, expected);
  bytes.copy(body.kept, body.length, start, start + take);
  body.length += take;
  if (take < end - start) {
    body.truncated = true;
    environment.counters.add('bodies_truncated');
  }
}

/** Makes room; returns for how many of the `count` bytes. */
function reserve(body: Body, environment: Environment, count: number, expected: number): number {
  const { bodies, limits } = environment;
  const wanted = Math.min(body.length + count, limits.httpBodyBytes);
  if (wanted <= body.kept.length) return wanted - body.length;
  // The announced length is the sender's word: it is believed up to 1 MiB, beyond that the bytes must come.
  const guess = Math.max(2 * body.kept.length, FIRST_BYTES, Math.min(expected, 1 << 20));
  let size = Math.min(Math.max(wanted, guess), limits.httpBodyBytes);
  const room = bodies.limit - bodies.used + body.charged;
  if (size > room) {
    size = Math.max(body.kept.length, Math.min(wanted, room));
    if (size < wanted) environment.counters.add('body_memory_full');
  }
  if (size > body.kept.length) {
    const grown = Buffer.allocUnsafeSlow(size);
    body.kept.copy(grown, 0, 0, body.length);
    body.kept = grown;
    bodies.used += size - body.charged;
    body.charged = size;
  }
  return Math.min(wanted, body.kept.length) - body.length;
}

/** Keeps the first `length` bytes alone. */
export function cutBody(body: Body, length: number): void {
  if (length >= body.length) return;
  body.length = length;
  body.truncated = true;
}

/** The kept bytes, made our own when they are to be changed. */
export function ownBytes(body: Body): Buffer {
  if (body.borrowed) {
    body.kept = Buffer.from(body.kept);
    body.borrowed = false;
  }
  return body.kept.subarray(0, body.length);
}

export function keptBytes(body: Body): Buffer {
  return body.kept.subarray(0, body.length);
}

/** Valid UTF-8 becomes text, all else base64. `cut`: the end may be in the middle of a character. */
export function bodyText(body: Body, cut: boolean): BodyText {
  if (body.length === 0) return { text: null, encoding: 'utf8' };
  const bytes = keptBytes(body);
  const text = textOf(cut ? bytes.subarray(0, wholeCharacters(bytes)) : bytes);
  return text.encoding === 'utf8' ? text : textOf(bytes);
}

export function textOf(bytes: Buffer): { readonly text: string; readonly encoding: TextEncoding } {
  // What V8 need not decode it makes text three times as fast, and without copies in its own heap where it is long.
  if (isAscii(bytes)) return { text: bytes.toString('latin1'), encoding: 'utf8' };
  if (isUtf8(bytes)) return { text: bytes.toString('utf8'), encoding: 'utf8' };
  return { text: bytes.toString('base64'), encoding: 'base64' };
}

/** Bytes up to the last whole character, should they be UTF-8. */
export function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}

/** Frees the bytes; the text stands for them in the budget until `releaseBody`, and `more` that was made of them. */
export function dropBytes(body: Body, environment: Environment, more = 0): void {
  environment.bodies.used += body.length + more - body.charged;
  body.charged = body.length + more;
  body.kept = NOTHING;
}

export function releaseBody(body: Body, environment: Environment): void {
  environment.bodies.used -= body.charged;
  body.charged = 0;
}
