/** Secrets after a name that says so: members of JSON and of code, options, headers, lines of a file. */
import { OPTION_BORDER, bordered } from './border.ts';
import { pushMember } from './member.ts';
import { NAME } from './rules.ts';
import { COOKIE_END, type Named, type SecretRange, afterScheme, firstOf, indexFrom, isQuote, pushBare, pushQuoted, pushValue } from './value.ts';

/** A name, or several of it, the quote after it as deep as JSON in JSON makes it, and its separator. */
const NAMED = new RegExp(String.raw`(${NAME})(s?\\{0,15}["'])?([ \t]{0,8}(?:=>|[:=])[ \t]{0,8}|[ \t]{1,8}(?!-))`, 'gi');
/** What stands before the name of a long option. */
const OPTION_START = new RegExp(String.raw`${bordered(/--/, OPTION_BORDER)}[\w-]*$`);
const OPTION_BYTES = 48;
/** Alone on its line, and no word: `aws_secret_access_key = wJalr…`, `password: hunter2!`. */
const LINE_VALUE = /(?=[^\s]{0,512}[\d+/=!@#$%^&])[\w+/=~!@#$%^&*.-]{8,4096}(?=$|[\r\n\\"])/y;
/** Header names that stand alone; any other is told by the dash before its last word. */
const HEADER = /^(?:authorization|(?:set-)?cookie2?|api-?key)$/i;

export function findNamed(text: string, found: SecretRange[]): void {
  for (let match = firstOf(NAMED, text); match !== null; match = NAMED.exec(text)) {
    const [whole, name = '', quoted, separator = ''] = match;
    const isSeveral = /^s/i.test(quoted ?? '');
    const start = match.index + whole.length;
    NAMED.lastIndex = start;
    if (quoted !== undefined && separator.trim() === ':' && !isQuote(text, start)) {
      NAMED.lastIndex = pushMember(text, start, { name: isSeveral ? `${name}s` : name, found });
    } else if (isSeveral) {
      continue;
    } else if (separator.trim() === '') {
      if (quoted === undefined && isOption(text, match.index)) NAMED.lastIndex = pushValue(text, start, found);
    } else if (isQuote(text, start)) {
      NAMED.lastIndex = pushQuoted(text, start, { name, found });
    } else if (separator === '=') {
      NAMED.lastIndex = pushBare(text, start, found);
    } else if (separator.trim() === ':' && quoted === undefined && isHeader(text, match.index, name)) {
      // `password: string` and `"token": 12` are no secrets, `X-Api-Key: abc` is.
      NAMED.lastIndex = pushHeader(text, start, { name, found });
    } else if (quoted === undefined && separator !== '=>') {
      NAMED.lastIndex = pushLine(text, start, found);
    }
  }
}

function isOption(text: string, at: number): boolean {
  return OPTION_START.test(text.slice(Math.max(0, at - OPTION_BYTES), at));
}

function isHeader(text: string, at: number, name: string): boolean {
  return HEADER.test(name) || name.startsWith('-') || text[at - 1] === '-';
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
