/** Members of JSON whose value stands in another line, in a list or in an object, or is a number. */
import { type Named, isQuote, pushQuoted } from './value.ts';

/** Between a colon and what follows it, indented. */
const WHITE = /\s{0,256}/y;
const DIGITS = /\d{1,64}(?![\w.])/y;
const COMMA = /\\{0,15}["']\s{0,256},\s{0,256}/y;
/** `{"value": …`. */
const VALUE_IN_OBJECT = /\{\s{0,256}\\{0,15}"value\\{0,15}"\s{0,8}:\s{0,8}/y;
/** In a list of tokens that a model reads there are words, and those of a parser have values. */
const LIKE_A_KEY = /(?=\S{0,64}\d)[\w.~+/=-]{16}/y;
const LONG = /[^\s"'\\]{12}/y;

/** `name` with the `s` of several. Returns where the value ends, or would begin. */
export function pushMember(text: string, colonEnd: number, { name, found }: Named): number {
  const start = after(WHITE, text, colonEnd);
  const isSeveral = /s$/i.test(name);
  if (text[start] === '[') return pushList(text, start, { name, found, least: isSeveral && !/pass/i.test(name) ? LIKE_A_KEY : null });
  if (isSeveral) return colonEnd;
  if (isQuote(text, start)) return pushQuoted(text, start, { name, found });
  const inner = after(VALUE_IN_OBJECT, text, start);
  if (inner > start && isQuote(text, inner) && (!/token$/i.test(name) || isLike(LONG, text, inner))) return pushQuoted(text, inner, { name, found });
  const end = /pass/i.test(name) ? after(DIGITS, text, start) : start;
  if (end > start) found.push({ start, end });
  return Math.max(end, colonEnd);
}

interface List extends Named {
  /** What an element is like, to be a secret. */
  readonly least: RegExp | null;
}

/** Returns where it has been read to. */
function pushList(text: string, bracket: number, { name, found, least }: List): number {
  let at = after(WHITE, text, bracket + 1);
  while (isQuote(text, at)) {
    const end = pushQuoted(text, at, { name, found: least === null || isLike(least, text, at) ? found : [] });
    const next = after(COMMA, text, end);
    if (next === end) return end;
    at = next;
  }
  return at;
}

/** Of what is in the quotes that begin there. */
function isLike(pattern: RegExp, text: string, quote: number): boolean {
  let start = quote;
  while (text[start] === '\\') start += 1;
  return after(pattern, text, start + 1) > start + 1;
}

/** Where the pattern ends that begins there, or there. */
function after(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
