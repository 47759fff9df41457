/**
 * Finds secrets in text: values of members, variables, options, form fields and
 * headers whose name says so (`named.ts`), what stands where secrets do (`places.ts`), and the known shapes of keys.
 * One character may stand for one byte (latin1): all that is looked for is ASCII.
 *
 * Not covered: secrets without a name or a known shape, encoded ones (base64,
 * compression), secrets cut in two by chunks.
 *
 * Linear: a repetition is bounded, or what it matched is not looked at again. A
 * range ends where its characters end, so that masked text has no further secrets.
 */
import { HINT, type Hints } from './hints.ts';
import { findNamed } from './named.ts';
import { findInPlaces } from './places.ts';
import { SHAPES } from './rules.ts';
import { type SecretRange, firstOf } from './value.ts';

export type { SecretRange };

/** All shapes in one pass: one each costs five times as much. */
const SHAPE = new RegExp(SHAPES.map(({ pattern }) => `(?:${pattern.source})`).join('|'), 'g');
/** The same without what stands before: in protobuf that is its length, which may be a letter or a digit. */
const COUNTED_SHAPE = new RegExp(SHAPES.map(({ opening, rest }) => `(?:${opening.source}${rest.source})`).join('|'), 'g');
const COUNT = /\w/;
/** Text has none of these. */
const BINARY = new RegExp(String.raw`[\x00-\x08]`);
/** A password, or a token in place of the user: long, and with digits. */
const USER_INFO = /:\/\/(?:[^\s/?#@:"'<>\\]{0,256}:([^\s/?#"'<>\\]{1,1024})|(?=[\w.~%-]{0,1024}\d)([\w.~%-]{20,1024}))@/g;
/** In a URL or a form, its spaces are `%20` or `+`. */
const KEY_BLOCK = /-----BEGIN(?: |\+|%20)[A-Z +%20]{0,60}PRIVATE(?: |\+|%20)KEY(?:(?: |\+|%20)BLOCK)?-----/g;
const KEY_BLOCK_END = '-----END';
/** An RSA key of 16384 bits is 12 KiB of base64. */
export const KEY_BLOCK_BYTES = 32_768;
const NOT_STAR = /[^*]/;

/** More rounds than any text needs that was not made to need them. */
const ROUNDS_MAX = 4;

/** Sorted, without overlap; what is masked already is not found. `hints`: of the text. */
export function findSecrets(text: string, hints: Hints): readonly SecretRange[] {
  return settle(text, (shown) => scan(shown, hints));
}

/**
 * Looks again at the masked text until nothing more is found: a mask may cover
 * what ended another secret. Text without secrets is looked at once.
 */
export function settle(text: string, look: (text: string) => readonly SecretRange[]): readonly SecretRange[] {
  let ranges = look(text);
  let more = ranges;
  for (let round = 1; round < ROUNDS_MAX && more.length > 0; round++) {
    more = look(maskRanges(text, ranges));
    if (more.length > 0) ranges = merge(text, [...ranges, ...more]);
  }
  return ranges;
}

/** The text with `*` in the ranges. */
export function maskRanges(text: string, ranges: readonly SecretRange[]): string {
  let masked = '';
  let from = 0;
  for (const { start, end } of ranges) {
    masked += text.slice(from, start) + '*'.repeat(end - start);
    from = end;
  }
  return masked + text.slice(from);
}

/** Masks make no new hints: those of the text hold for it when masked. */
function scan(text: string, hints: Hints): readonly SecretRange[] {
  const found: SecretRange[] = [];
  const mayHold = (rule: Hints): boolean => (hints & rule) !== 0;
  if (mayHold(HINT.shape)) findShapes(text, found);
  if (mayHold(HINT.name)) findNamed(text, found);
  findInPlaces(text, hints, found);
  if (mayHold(HINT.userInfo)) findUserInfo(text, found);
  if (mayHold(HINT.keyBlock)) findKeyBlocks(text, found);
  return merge(text, found);
}

/** Keys of a known shape. */
export function findShapes(text: string, found: SecretRange[] = []): readonly SecretRange[] {
  for (let match = firstOf(SHAPE, text); match !== null; match = SHAPE.exec(text)) found.push({ start: match.index, end: SHAPE.lastIndex });
  return found;
}

/** Keys behind a byte that is their length, in bytes that are no text. */
export function findCounted(text: string): readonly SecretRange[] {
  const found: SecretRange[] = [];
  if (!BINARY.test(text)) return found;
  for (let match = firstOf(COUNTED_SHAPE, text); match !== null; match = COUNTED_SHAPE.exec(text)) {
    const count = text[match.index - 1] ?? '';
    const length = count.charCodeAt(0);
    if (COUNT.test(count) && length <= match[0].length) found.push({ start: match.index, end: match.index + length });
  }
  return found;
}

function findUserInfo(text: string, found: SecretRange[]): void {
  for (let match = firstOf(USER_INFO, text); match !== null; match = USER_INFO.exec(text)) {
    const end = USER_INFO.lastIndex - 1;
    found.push({ start: end - (match[1] ?? match[2] ?? '').length, end });
  }
}

/** Sorts, joins what touches, leaves out what is empty or masked. */
export function merge(text: string, ranges: SecretRange[]): readonly SecretRange[] {
  const merged: SecretRange[] = [];
  for (const range of ranges.sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || range.start > last.end) merged.push(range);
    else if (range.end > last.end) merged[merged.length - 1] = { start: last.start, end: range.end };
  }
  return merged.filter(({ start, end }) => NOT_STAR.test(text.slice(start, end)));
}

/** All between the lines of a key block, or what there is of one that was cut. */
function findKeyBlocks(text: string, found: SecretRange[]): void {
  let done = 0;
  for (let match = firstOf(KEY_BLOCK, text); match !== null; match = KEY_BLOCK.exec(text)) {
    const start = KEY_BLOCK.lastIndex;
    if (start <= done) continue;
    const within = text.slice(start, start + KEY_BLOCK_BYTES).indexOf(KEY_BLOCK_END);
    done = within >= 0 ? start + within : Math.min(text.length, start + KEY_BLOCK_BYTES);
    found.push({ start, end: done });
  }
}

