/** What of a text that has left is looked at again, because a secret in it may go on. */
import type { Range } from '../http/mask.ts';
import { KEY_BLOCK_BYTES } from './find.ts';

const LF = 0x0a;
const NOTHING = Buffer.alloc(0);
/** Of a line: what may name a secret, or be its beginning. Of one that ends in a secret: as much as the longest has, and its name. */
const LINE_BYTES = 4096;
const NAME_BYTES = 256;
export const TAIL_BYTES = KEY_BLOCK_BYTES + NAME_BYTES;

/** Of a text of which `length` bytes have left, with its secrets. */
export function tailOf(text: Buffer, length: number, ranges: readonly Range[]): Buffer {
  const line = length === 0 ? 0 : text.lastIndexOf(LF, length - 1) + 1;
  const last = ranges.findLast(({ start }) => start < length);
  const start = last !== undefined && last.end >= length
    ? Math.max(Math.min(line, last.start - NAME_BYTES), length - TAIL_BYTES, 0)
    : Math.max(line, length - LINE_BYTES);
  // Its own bytes: a view would keep the whole text alive.
  return start >= length ? NOTHING : Buffer.from(text.subarray(start, length));
}

/**
 * The same of a stream whose beginnings of secrets are known: what may stand before the first byte of one, so that no
 * more is read again with every small call. The longest is `login NAME password `, of ~/.netrc.
 */
export const CONTEXT_BYTES = 320;

/** `from`: where a secret begins that may go on, else the end of what has left. */
export function contextOf(text: Buffer, length: number, from: number): Buffer {
  const isOpen = from < length;
  if (!isOpen && (length === 0 || text[length - 1] === LF)) return NOTHING;
  const wanted = Math.max(0, Math.min(from, length) - CONTEXT_BYTES, length - TAIL_BYTES);
  // With what ends the line before: the beginning of a line is not that of the text.
  return Buffer.from(text.subarray(isOpen ? wanted : Math.max(wanted, text.lastIndexOf(LF, length - 1)), length));
}
