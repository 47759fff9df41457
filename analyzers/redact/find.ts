/**
 * Finds secrets in text: values of members, variables, options, form fields and
 * headers whose name says so, passwords in URLs, and the known shapes of keys.
 * One character may stand for one byte (latin1): all that is looked for is ASCII.
 *
 * Not covered: secrets without a name or a known shape, encoded ones (base64,
 * compression), secrets cut in two by chunks.
 *
 * Linear: a repetition is bounded, or what it matched is not looked at again. A
 * range ends where its characters end, so that masked text has no further secrets.
 */
import { OPTION_BORDER, PARAMETER_BORDER, bordered } from './border.ts';
import { HINT, type Hints } from './hints.ts';
import { AUTH_SCHEME, NAME, SHAPES } from './rules.ts';

export interface SecretRange {
  readonly start: number;
  readonly end: number;
}

/** All shapes in one pass: one each costs five times as much. */
const SHAPE = new RegExp(SHAPES.map(({ pattern }) => `(?:${pattern.source})`).join('|'), 'g');
/** A name, the quote after it as deep as JSON in JSON makes it, and its separator. */
const NAMED = new RegExp(String.raw`(${NAME})(\\{0,15}["'])?([ \t]{0,8}(?:=>|[:=])[ \t]{0,8}|[ \t]{1,8}(?!-))`, 'gi');
/** What stands before the name of a long option. */
const OPTION_START = new RegExp(String.raw`${bordered(/--/, OPTION_BORDER)}[\w-]*$`);
const OPTION_BYTES = 48;
/** Case tells a variable from a column of a table: PRIMARY_KEY= but not primary_key=. */
const VARIABLE = /[A-Z0-9]_(?:KEY|PWD)=/g;
/** Names that are secret in a URL or a form though not in prose. */
const PARAMETER = new RegExp(String.raw`${PARAMETER_BORDER}(?:key|sig|signature|hmac|auth|pwd|pass|(?:php|asp|j)?sess(?:ion)?_?id|code(?==[\w%.~/+-]{20})|code_verifier|client_assertion|[Xx]-(?:[Aa]mz|[Gg]oog)-(?:[Ss]ignature|[Cc]redential))=`, 'g');
/** The path of an incoming web hook is all that it takes to use it. */
const HOOK = /hooks\.slack\.com\/(?:services|workflows|triggers)\//g;
/** The lines of ~/.netrc. */
const NETRC = new RegExp(String.raw`${bordered(/login/)}[ \t]{1,8}[^\s]{1,256}\s{1,8}password[ \t]{1,8}`, 'g');
/** Alone on its line, and no word: `aws_secret_access_key = wJalr…`, `password: hunter2!`. */
const LINE_VALUE = /(?=[^\s]{0,512}[\d+/=!@#$%^&])[\w+/=~!@#$%^&*.-]{8,4096}(?=$|[\r\n\\"])/y;
/** `-u me:hunter2` of curl. Digits on both sides are a user and a group, as of docker. */
const USER_OPTION = new RegExp(String.raw`${bordered(/(?:-u|--user|--proxy-user)/, OPTION_BORDER)}[ \t=]{1,8}["']?(?!\d{1,10}:\d{1,10}(?:\s|$))[^\s:"'/@]{1,64}:(?=[^\s/])`, 'g');
const USER_INFO = /:\/\/[^\s/?#@:"'<>\\]{0,256}:([^\s/?#"'<>\\]{1,1024})@/g;
/** Not `Basic authentication`: a credential has more than letters, or many of them. */
const CREDENTIAL = new RegExp(String.raw`${bordered(/(?:Bearer|Basic)/)}[ \t]{1,8}(?![A-Za-z]{1,20}(?![\w.~+/=*-]))(?=[\w.~+/=*-]{8})`, 'gi');
const BEFORE_VALUE: readonly { readonly hint: Hints; readonly pattern: RegExp }[] = [
  { hint: HINT.variable, pattern: VARIABLE }, { hint: HINT.parameter, pattern: PARAMETER }, { hint: HINT.credential, pattern: CREDENTIAL },
  { hint: HINT.hook, pattern: HOOK }, { hint: HINT.netrc, pattern: NETRC }, { hint: HINT.userOption, pattern: USER_OPTION },
];
const KEY_BLOCK = /-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const KEY_BLOCK_END = '-----END';
/** An RSA key of 16384 bits is 12 KiB of base64. */
export const KEY_BLOCK_BYTES = 32_768;
/** Header names that stand alone; any other is told by the dash before its last word. */
const HEADER = /^(?:authorization|(?:set-)?cookie2?|api-?key)$/i;
/** Where a value without quotes ends. */
const BARE_END = /[\s\x1b"'`&;,<>(){}[\]\\|]/g;
const COOKIE_END = /["'`\\\r\n]/g;
const DOUBLE_OR_LINE = /["\r\n]/g;
const SINGLE_OR_LINE = /['\r\n]/g;
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
  for (const { hint, pattern } of BEFORE_VALUE) {
    if (mayHold(hint)) findAfter(pattern, text, found);
  }
  if (mayHold(HINT.userInfo)) findUserInfo(text, found);
  if (mayHold(HINT.keyBlock)) findKeyBlocks(text, found);
  return merge(text, found);
}

/** Keys of a known shape. */
export function findShapes(text: string, found: SecretRange[] = []): readonly SecretRange[] {
  for (let match = firstOf(SHAPE, text); match !== null; match = SHAPE.exec(text)) found.push({ start: match.index, end: SHAPE.lastIndex });
  return found;
}

function findUserInfo(text: string, found: SecretRange[]): void {
  for (let match = firstOf(USER_INFO, text); match !== null; match = USER_INFO.exec(text)) {
    const end = USER_INFO.lastIndex - 1;
    found.push({ start: end - (match[1]?.length ?? 0), end });
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

function findNamed(text: string, found: SecretRange[]): void {
  const pattern = NAMED;
  for (let match = firstOf(pattern, text); match !== null; match = pattern.exec(text)) {
    const [whole, name = '', quoted, separator = ''] = match;
    const start = match.index + whole.length;
    pattern.lastIndex = start;
    if (separator.trim() === '') {
      if (quoted === undefined && isOption(text, match.index)) pattern.lastIndex = pushValue(text, start, found);
    } else if (isQuote(text, start)) {
      pattern.lastIndex = pushQuoted(text, start, { name, found });
    } else if (separator === '=') {
      pattern.lastIndex = pushBare(text, start, found);
    } else if (separator.trim() === ':' && quoted === undefined && isHeader(text, match.index, name)) {
      // `password: string` and `"token": 12` are no secrets, `X-Api-Key: abc` is.
      pattern.lastIndex = pushHeader(text, start, { name, found });
    } else if (quoted === undefined && separator !== '=>') {
      pattern.lastIndex = pushLine(text, start, found);
    }
  }
}

/** The scan goes on after what was found: a text of nothing but such names is read once. */
function findAfter(pattern: RegExp, text: string, found: SecretRange[]): void {
  for (let match = firstOf(pattern, text); match !== null; match = pattern.exec(text)) {
    pattern.lastIndex = Math.max(pushValue(text, match.index + match[0].length, found), match.index + match[0].length);
  }
}

function isOption(text: string, at: number): boolean {
  return OPTION_START.test(text.slice(Math.max(0, at - OPTION_BYTES), at));
}

function isHeader(text: string, at: number, name: string): boolean {
  return HEADER.test(name) || name.startsWith('-') || text[at - 1] === '-';
}

interface Named {
  readonly name: string;
  readonly found: SecretRange[];
}

/** Returns where the value ends. */
function pushHeader(text: string, start: number, { name, found }: Named): number {
  if (!/cookie/i.test(name)) return pushBare(text, afterScheme(text, start, name), found);
  const end = indexFrom(COOKIE_END, text, start);
  found.push({ start, end });
  return end;
}

/** Returns where the value ends, or would begin. */
function pushLine(text: string, start: number, found: SecretRange[]): number {
  LINE_VALUE.lastIndex = start;
  const end = start + (LINE_VALUE.exec(text)?.[0].length ?? 0);
  if (end > start) found.push({ start, end });
  return end;
}

/** Returns where the value ends. */
function pushValue(text: string, start: number, found: SecretRange[]): number {
  return isQuote(text, start) ? pushQuoted(text, start, { name: '', found }) : pushBare(text, start, found);
}

function pushBare(text: string, start: number, found: SecretRange[]): number {
  const end = indexFrom(BARE_END, text, start);
  if (end > start) found.push({ start, end });
  return end;
}

function isQuote(text: string, at: number): boolean {
  let quote = at;
  while (text[quote] === '\\' && quote - at < 15) quote += 1;
  return text[quote] === '"' || text[quote] === "'";
}

/** From a quote behind any backslashes to the same quote behind as many; to the end of the line when the value was cut. */
function pushQuoted(text: string, at: number, { name, found }: Named): number {
  let start = at;
  while (text[start] === '\\') start += 1;
  const depth = start - at;
  const mark = text[start] as string;
  start += 1;
  const end = closingQuote(text, start, { mark, depth });
  const from = afterScheme(text, start, name);
  if (end > from) found.push({ start: from, end });
  return Math.max(end, start);
}

function closingQuote(text: string, from: number, { mark, depth }: { readonly mark: string; readonly depth: number }): number {
  const pattern = mark === '"' ? DOUBLE_OR_LINE : SINGLE_OR_LINE;
  for (let at = indexFrom(pattern, text, from); at < text.length; at = indexFrom(pattern, text, at + 1)) {
    if (text[at] !== mark) return at;
    let slashes = 0;
    while (at - slashes > from && text[at - slashes - 1] === '\\') slashes += 1;
    // At depth 0 a quote is escaped by an odd number; deeper down by more of them than opened it.
    if (depth === 0 ? slashes % 2 === 0 : slashes <= depth) return depth === 0 ? at : at - slashes;
  }
  return text.length;
}

/** `Bearer `, `Basic ` of an authorization stay readable. */
function afterScheme(text: string, start: number, name: string): number {
  if (!/^authorization$/i.test(name)) return start;
  return start + (AUTH_SCHEME.exec(text.slice(start, start + 32))?.[0].length ?? 0);
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

/** Patterns are used again, from the beginning: a new one for each text costs as much as reading a short one. */
function firstOf(pattern: RegExp, text: string): RegExpExecArray | null {
  pattern.lastIndex = 0;
  return pattern.exec(text);
}

function indexFrom(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? text.length;
}
