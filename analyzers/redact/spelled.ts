/**
 * Secrets that are spelled: a model answers with a few characters in each event of a stream, so that no event has the
 * whole of a key that it repeats. What the members that carry such pieces say is joined, each by its name, and
 * looked at as one text; of what is a secret in it, the part of the event at hand is masked.
 *
 * What left before anybody could know a secret by it stays: its prefix, and what of it reads as a word (`sk-ant-api`). Pieces of answers that are interleaved under one name are joined wrongly: then none may be found.
 */
import type { LocateSecrets, Range } from '../http/mask.ts';
import { type Hints, hintsInBytes } from './hints.ts';
import { openingOf } from './opening.ts';
import { CONTEXT_BYTES } from './tail.ts';

export interface Spelling {
  /**
   * Ranges in the bytes of one event, or of a message, that belong to a secret which others before have begun, or which it begins itself.
   * `plain`: what says the piece where there is no JSON: the `data` fields of an event stream, or all bytes.
   */
  take(bytes: Buffer, plain: 'data' | 'all'): readonly Range[];
}

/** As the interfaces of models name what they add: of Anthropic, OpenAI (Chat, Responses, Realtime), Gemini, Ollama, Cohere, Hugging Face. */
const MEMBERS = [
  'text', 'content', 'delta', 'partial_json', 'arguments', 'thinking', 'reasoning', 'reasoning_content', 'response', 'completion', 'output', 'token', 'chunk',
  'message', 'value',
];
/** Pieces of no member: data that is no JSON. */
const PLAIN = MEMBERS.length;
/** A longer piece is taken in parts, as if they were pieces. */
const PART_BYTES = 192;
/** Of a secret that goes on for longer its beginning and its end are kept. */
const SECRET_BYTES = 2048;
const KEPT_BYTES = 512;

const NO_WORD = /[A-Z\d+/=!@#$%^&]/;

const QUOTE = 0x22;
const COLON = 0x3a;
const SPACE = 0x20;
const BACKSLASH = 0x5c;
const LF = 0x0a;
const CR = 0x0d;
const DATA_FIELD = Buffer.from('data:');

/** By the last byte of a name: numbers of the members that end with it. */
const BY_LAST_BYTE: readonly (readonly { readonly name: Buffer; readonly member: number }[] | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const members = MEMBERS.map((text, member) => ({ name: Buffer.from(text), member })).filter(({ name }) => name.at(-1) === byte);
  return members.length === 0 ? undefined : members;
});

/** What one member has said, as far as a secret may go on from it. */
interface Said {
  text: Buffer;
  length: number;
  /** Of all its text: nothing is looked for without any. */
  hints: Hints;
  /** Its middle was left out. */
  cut: boolean;
}

/** null where nothing is looked for. */
export function createSpelling(locate: LocateSecrets | undefined): Spelling | null {
  if (locate === undefined) return null;
  return spellingOf(locate);
}

function spellingOf(locate: LocateSecrets): Spelling {
  const said: (Said | undefined)[] = [];
  let found: Range[] = [];

  function takePart(one: Said, bytes: Buffer, start: number, end: number): void {
    if (one.length + PART_BYTES > one.text.length) reserve(one);
    const before = one.length;
    const places = append(one, bytes, start, end);
    one.hints |= hintsInBytes(one.text, before > 2 ? before - 2 : 0, one.length);
    if (one.hints !== 0) look(one, before, (at) => places?.[at - before] ?? start + at - before);
  }

  /** `before`: how much it had said. `placeOf`: where in the event it says what. */
  function look(one: Said, before: number, placeOf: (at: number) => number): void {
    const text = one.text.subarray(0, one.length);
    const ranges = locate('text', text);
    const opening = openingOf(text, ranges);
    for (const { start, end, secrets = [] } of ranges) {
      if (end < before) continue;
      // One that goes on is told by its name when it is whole.
      const isWhole = end < text.length && !one.cut;
      found.push({ start: placeOf(Math.max(start, before)), end: placeOf(end), secrets: isWhole ? secrets : [] });
    }
    if (opening?.isKnown === true && isNoWord(text, opening.secret)) found.push({ start: placeOf(Math.max(opening.secret, before)), end: placeOf(text.length) });
    forget(one, opening?.isKnown === true ? opening.start : text.length);
  }

  function takePiece(member: number, bytes: Buffer, start: number, end: number): void {
    const one = said[member] ??= { text: Buffer.allocUnsafeSlow(CONTEXT_BYTES + PART_BYTES), length: 0, hints: 0, cut: false };
    for (let at = start; at < end; at += PART_BYTES) takePart(one, bytes, at, Math.min(end, at + PART_BYTES));
  }

  return {
    take(bytes, plain) {
      if (found.length > 0) found = [];
      let hasMembers = false;
      // Of the two bytes between a name and its value one is at an odd place.
      for (let at = 1; at < bytes.length; at += 2) {
        const byte = bytes[at];
        if (byte !== QUOTE && byte !== COLON) continue;
        const colon = byte === COLON ? at : at + 1;
        if (bytes[colon - 1] !== QUOTE || bytes[colon] !== COLON) continue;
        hasMembers = true;
        const start = bytes[colon + 1] === SPACE ? colon + 3 : colon + 2;
        const member = bytes[start - 1] === QUOTE ? memberBefore(bytes, colon - 1) : -1;
        if (member === -1) continue;
        const end = endOfString(bytes, start);
        takePiece(member, bytes, start, end);
        at = end;
      }
      if (hasMembers) return found;
      for (const { start, end } of plain === 'data' ? dataOf(bytes) : [{ start: 0, end: bytes.length }]) takePiece(PLAIN, bytes, start, end);
      return found;
    },
  };
}

/** What has letters in lower case alone so far may become the name of a function as `hf_hub_download`: nobody waits here to see. */
function isNoWord(text: Buffer, from: number): boolean {
  return NO_WORD.test(text.toString('latin1', from));
}

/** The number of the member with the name that ends before this quote, or -1. */
function memberBefore(bytes: Buffer, quote: number): number {
  const members = BY_LAST_BYTE[bytes[quote - 1] as number];
  if (members === undefined) return -1;
  for (const { name, member } of members) {
    const start = quote - name.length;
    if (bytes[start - 1] !== QUOTE) continue;
    let same = 0;
    while (same < name.length && bytes[start + same] === name[same]) same++;
    if (same === name.length) return member;
  }
  return -1;
}

function endOfString(bytes: Buffer, start: number): number {
  let end = start;
  while (end < bytes.length && bytes[end] !== QUOTE) end += bytes[end] === BACKSLASH ? 2 : 1;
  return Math.min(end, bytes.length);
}

/** Where the data of an event are that has no JSON. */
function dataOf(bytes: Buffer): readonly Range[] {
  const ranges: Range[] = [];
  for (let line = 0; line < bytes.length;) {
    let end = line;
    while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++;
    if (bytes.subarray(line, line + DATA_FIELD.length).equals(DATA_FIELD)) {
      const start = line + DATA_FIELD.length;
      ranges.push({ start: Math.min(end, bytes[start] === SPACE ? start + 1 : start), end });
    }
    line = end + 1;
  }
  return ranges;
}

/** Makes room for a part. */
function reserve(one: Said): void {
  if (one.hints === 0) {
    keepFrom(one, one.length - CONTEXT_BYTES);
    return;
  }
  const text = Buffer.allocUnsafeSlow(one.length + 2 * PART_BYTES);
  one.text.copy(text, 0, 0, one.length);
  one.text = text;
}

function keepFrom(one: Said, start: number): void {
  one.text.copyWithin(0, start, one.length);
  one.length -= start;
}

/** What is before a secret that may go on, or before what comes next, is as much as any rule needs to see. */
function forget(one: Said, from: number): void {
  if (from > CONTEXT_BYTES) {
    keepFrom(one, from - CONTEXT_BYTES);
    one.cut = false;
  }
  if (one.length > SECRET_BYTES) {
    one.text.copyWithin(CONTEXT_BYTES + KEPT_BYTES, one.length - KEPT_BYTES, one.length);
    one.length = CONTEXT_BYTES + 2 * KEPT_BYTES;
    one.cut = true;
  }
  one.hints = hintsInBytes(one.text, 0, one.length);
}

/** Adds what a part of a JSON string says. Returns where each of its bytes is, or null where each is as it stands. */
function append(one: Said, bytes: Buffer, start: number, end: number): number[] | null {
  let places: number[] | null = null;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === BACKSLASH) places ??= Array.from({ length: at - start }, (_, index) => start + index);
    places?.push(at);
    if (byte !== BACKSLASH) {
      one.text[one.length++] = byte;
      continue;
    }
    const { code, length } = escapeAt(bytes, at, end);
    one.text[one.length++] = code;
    at += length - 1;
  }
  places?.push(end);
  return places;
}

const ESCAPES: Readonly<Record<string, number>> = { b: 0x08, f: 0x0c, n: 0x0a, r: 0x0d, t: 0x09 };
const UNICODE = /^[0-9a-fA-F]{4}$/;
const OTHER = 0x3f;

/** What an escape stands for, beyond ASCII any other byte. */
function escapeAt(bytes: Buffer, at: number, end: number): { readonly code: number; readonly length: number } {
  if (at + 1 >= end) return { code: BACKSLASH, length: 1 };
  const letter = String.fromCharCode(bytes[at + 1] as number);
  const digits = letter === 'u' ? bytes.toString('latin1', at + 2, Math.min(end, at + 6)) : '';
  if (!UNICODE.test(digits)) return { code: ESCAPES[letter] ?? (bytes[at + 1] as number), length: 2 };
  const code = Number.parseInt(digits, 16);
  return { code: code < 0x80 ? code : OTHER, length: 6 };
}
