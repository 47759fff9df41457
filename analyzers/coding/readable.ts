/**
 * Whether bytes can be read as they are. Where the head of a body is not known, nothing says that it is
 * coded but its own bytes: every coding makes bytes that are no text.
 */
import { isUtf8 } from 'node:buffer';

/** A character of UTF-8 has three bytes after its first one at most. */
const MORE_BYTES = 3;
const PREFIX_BYTES = 5;
/** What text does not have: control characters but tab, line feed, form feed, carriage return and escape. */
const CONTROL = /[\0-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]/;

/** Text, which may begin and end inside a character, or messages of gRPC, which say themselves whether they are coded. */
export function isReadable(bytes: Buffer): boolean {
  return isText(bytes) || isFramed(bytes);
}

function isText(bytes: Buffer): boolean {
  let start = 0;
  while (start < MORE_BYTES && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  for (let end = bytes.length; end >= Math.max(start, bytes.length - MORE_BYTES); end--) {
    const text = bytes.subarray(start, end);
    if (isUtf8(text)) return !CONTROL.test(text.toString('latin1'));
  }
  return false;
}

/** Prefixes of gRPC follow each other to the very end. */
function isFramed(bytes: Buffer): boolean {
  let at = 0;
  while (at + PREFIX_BYTES <= bytes.length && (bytes[at] as number) <= 1) at += PREFIX_BYTES + bytes.readUInt32BE(at + 1);
  return at === bytes.length;
}
