/**
 * A growing buffer that JSON is written into as UTF-8 bytes. Payload bytes are
 * escaped straight into it: going through a JavaScript string and
 * `JSON.stringify` cost twice as much for a payload of 256 bytes.
 *
 * The buffer is used again for the next batch: one buffer for each would be
 * garbage of 80 MB a second, which V8 lets pile up to 64 MB before it collects.
 *
 * RFC 8259: `"`, `\` and U+0000-U+001F must be escaped, anything else may stand.
 */
import { quote } from './json-text.ts';

const HEX = Buffer.from('0123456789abcdef', 'latin1');
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;
const QUOTE = 0x22;
const ZERO = 0x30;
/** Of 2^53. */
const MOST_DIGITS = 16;
const NS_PER_SECOND = 1_000_000_000;
const NS_DIGITS = 9;
/** Bytes of `\u001f`, the longest form of one byte. */
const LONGEST_ESCAPE_BYTES = 6;
/** Up to here three bytes a character are reserved without counting them. */
const SHORT_TEXT = 4096;
const FIRST_BYTES = 4096;
/** A call into Node's writer costs as much as a loop over this many characters. */
const LOOP_TEXT = 64;
/** A batch of small events is about 1 MB. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** Byte to the letter after its backslash; `u` means six characters; 0 means as it is. */
const ESCAPES = makeEscapes();

export interface LineWriter {
  /** Text that is written as it is. */
  text(text: string): void;
  /** A string with its quotes. */
  quoted(text: string): void;
  /** Valid UTF-8, escaped to stand inside a JSON string. */
  escaped(utf8: Uint8Array): void;
  base64(bytes: Uint8Array): void;
  /** JSON that is ready. */
  bytes(json: Uint8Array): void;
  /** A whole number from 0 to 2^53. */
  integer(value: number): void;
  /** Nanoseconds since 1970. */
  time(value: bigint): void;
  /** A copy of what was written, of exactly its size. The writer starts anew. */
  finish(): Buffer;
}

/** One that has begun. */
interface Second {
  /** Its beginning. */
  readonly ns: bigint;
  /** What a time in it begins with. */
  readonly digits: string;
}

export function createLineWriter(): LineWriter {
  let out = Buffer.allocUnsafeSlow(FIRST_BYTES);
  let used = 0;
  let second: Second | null = null;

  function reserve(bytes: number): void {
    if (out.length - used >= bytes) return;
    const grown = Buffer.allocUnsafe(Math.max(out.length * 2, used + bytes));
    out.copy(grown, 0, 0, used);
    out = grown;
  }

  return {
    text(text) {
      reserve(text.length <= SHORT_TEXT ? text.length * 3 : Buffer.byteLength(text, 'utf8'));
      const end = text.length <= LOOP_TEXT ? asciiInto(out, used, text) : 0;
      used = end > 0 ? end : used + out.write(text, used, 'utf8');
    },
    quoted(text) {
      if (text.length > LOOP_TEXT) return this.text(quote(text));
      reserve(text.length + 2);
      const end = plainInto(out, used, text);
      if (end > 0) used = end;
      else this.text(quote(text));
    },
    escaped(utf8) {
      reserve(utf8.length * LONGEST_ESCAPE_BYTES);
      used = escapeInto(out, used, utf8);
    },
    base64(bytes) {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
      reserve(text.length);
      used += out.write(text, used, 'latin1');
    },
    bytes(json) {
      reserve(json.length);
      out.set(json, used);
      used += json.length;
    },
    integer(value) {
      reserve(MOST_DIGITS);
      used = digitsInto(out, used, value);
    },
    time(value) {
      // Most times are of the second of the one before: then one small number is left to convert.
      const rest = second === null ? -1 : Number(value - second.ns);
      if (second === null || rest < 0 || rest >= NS_PER_SECOND) {
        this.text(`${value}`);
        second = secondOf(value);
        return;
      }
      reserve(second.digits.length + NS_DIGITS);
      used = asciiInto(out, used, second.digits);
      used = paddedInto(out, used, rest);
    },
    finish() {
      const written = Buffer.from(out.subarray(0, used));
      used = 0;
      // One huge line must not be paid for until the end of the run.
      if (out.length > KEPT_BYTES) out = Buffer.allocUnsafeSlow(FIRST_BYTES);
      return written;
    },
  };
}

/** Returns the end, or 0 when there is more than ASCII in it. */
function asciiInto(out: Buffer, start: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return 0;
    out[start + i] = code;
  }
  return start + text.length;
}

/** Between quotes. Returns the end, or 0 when something in it must be escaped. */
function plainInto(out: Buffer, start: number, text: string): number {
  out[start] = QUOTE;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f || ESCAPES[code] !== 0) return 0;
    out[start + 1 + i] = code;
  }
  out[start + 1 + text.length] = QUOTE;
  return start + 2 + text.length;
}

function escapeInto(out: Buffer, start: number, utf8: Uint8Array): number {
  let at = start;
  for (let i = 0; i < utf8.length; i++) {
    const byte = utf8[i] as number;
    const letter = ESCAPES[byte] as number;
    if (letter === 0) {
      out[at++] = byte;
      continue;
    }
    out[at++] = BACKSLASH;
    out[at++] = letter;
    if (letter !== LETTER_U) continue;
    out[at++] = ZERO;
    out[at++] = ZERO;
    out[at++] = HEX[byte >> 4] as number;
    out[at++] = HEX[byte & 15] as number;
  }
  return at;
}

/** Most numbers of an event are short: a string for each would cost more than its digits. */
function digitsInto(out: Buffer, start: number, value: number): number {
  let end = start + 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end += 1;
  let rest = value;
  for (let at = end - 1; at >= start; at--) {
    const next = Math.floor(rest / 10);
    out[at] = ZERO + rest - next * 10;
    rest = next;
  }
  return end;
}

/** null in the first one, whose times begin with no digits of it. */
function secondOf(time: bigint): Second | null {
  const seconds = time / BigInt(NS_PER_SECOND);
  if (seconds <= 0n) return null;
  return { ns: seconds * BigInt(NS_PER_SECOND), digits: `${seconds}` };
}

/** Nine digits of a number below 10^9. */
function paddedInto(out: Buffer, start: number, value: number): number {
  let rest = value;
  for (let at = start + NS_DIGITS - 1; at >= start; at--) {
    const next = Math.floor(rest / 10);
    out[at] = ZERO + rest - next * 10;
    rest = next;
  }
  return start + NS_DIGITS;
}

function makeEscapes(): Uint8Array {
  const escapes = new Uint8Array(256);
  escapes.fill(LETTER_U, 0, 0x20);
  for (const [character, letter] of ['\bb', '\tt', '\nn', '\ff', '\rr', '""', '\\\\']) {
    escapes[(character as string).charCodeAt(0)] = (letter as string).charCodeAt(0);
  }
  return escapes;
}
