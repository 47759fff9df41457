/** Secrets by the place where they stand: in a URL, a form, a file of logins, an element of XML, after an option of some program. */
import { OPTION_BORDER, PARAMETER_BORDER, bordered } from './border.ts';
import { HINT, type Hints } from './hints.ts';
import { PROGRAMS } from './programs.ts';
import { NAME } from './rules.ts';
import { type SecretRange, firstOf, pushValue } from './value.ts';

/** Case tells a variable from a column of a table: PRIMARY_KEY= but not primary_key=. */
const VARIABLE = /[A-Z0-9]_(?:KEY|PWD)=/g;
/** Names that are secret in a URL or a form though not in prose. */
const PARAMETER = new RegExp(String.raw`${PARAMETER_BORDER}(?:key|sig|signature|hmac|auth|pwd|pass|(?:php|asp|j)?sess(?:ion)?_?id|code(?==[\w%.~/+-]{20})|code_verifier|client_assertion|[Xx]-(?:[Aa]mz|[Gg]oog)-(?:[Ss]ignature|[Cc]redential))=`, 'g');
/** The path of an incoming web hook is all that it takes to use it. */
const HOOK = /hooks\.slack\.com\/(?:services|workflows|triggers)\//g;
/** The lines of ~/.netrc. */
const NETRC = new RegExp(String.raw`${bordered(/login/)}[ \t]{1,8}[^\s]{1,256}\s{1,8}password[ \t]{1,8}`, 'g');
/** `-u me:hunter2` of curl. Digits on both sides are a user and a group, as of docker. */
const USER_OPTION = new RegExp(String.raw`${bordered(/(?:-u|--user|--proxy-user)/, OPTION_BORDER)}[ \t=]{1,8}["']?(?!\d{1,10}:\d{1,10}(?:\s|$))[^\s:"'/@]{1,64}:(?=[^\s/])`, 'g');
/** Not `Basic authentication`: a credential has more than letters, or many of them. */
const CREDENTIAL = new RegExp(String.raw`${bordered(/(?:Bearer|Basic)/)}[ \t]{1,8}(?![A-Za-z]{1,20}(?![\w.~+/=*-]))(?=[\w.~+/=*-]{8})`, 'gi');
/** A password that openssl is given as `pass:hunter2`. */
const SOURCE_OPTION = new RegExp(String.raw`${bordered(/-pass(?:in|out)?/, OPTION_BORDER)}[ \t]{1,8}["']?pass:`, 'g');
const BEARER_OPTION = new RegExp(String.raw`${bordered(/--oauth2-bearer/, OPTION_BORDER)}[ \t=]{1,8}`, 'g');
/** `user[password]=`; in code `counts[token]=` is none. */
const FORM = new RegExp(String.raw`(?:%5B[\w-]{0,32}?${NAME}%5D|\[[\w-]{0,32}?${NAME}\](?<=(?:^|[?&"'])[\w.[\]-]{1,128}))=`, 'gi');
/** A part of multipart/form-data; its name may have brackets, too. */
const PART = new RegExp(String.raw`name="[^"\r\n]{0,64}?${NAME}\]?"[^\r\n]{0,128}\r\n(?:[^\r\n]{1,256}\r\n){0,4}\r\n`, 'gi');
const LINE = /[^\r\n]{1,4096}/y;
/** With its end: `<password>` alone stands in every manual. */
const ELEMENT = new RegExp(String.raw`<[\w.:-]{0,64}?${NAME}>\s{0,64}(?=[^<>\s]{1,4096}\s{0,64}<\\?/)`, 'gi');
const ELEMENT_VALUE = /[^<>\s]{1,4096}/y;

interface Place {
  readonly hint: Hints;
  /** What stands before the value. */
  readonly pattern: RegExp;
  /** The value; without it, as far as quotes go, or a bare word. */
  readonly value?: RegExp;
}

const PLACES: readonly Place[] = [
  { hint: HINT.variable, pattern: VARIABLE }, { hint: HINT.parameter, pattern: PARAMETER }, { hint: HINT.credential, pattern: CREDENTIAL },
  { hint: HINT.hook, pattern: HOOK }, { hint: HINT.netrc, pattern: NETRC }, { hint: HINT.userOption, pattern: USER_OPTION },
  { hint: HINT.program, pattern: SOURCE_OPTION }, { hint: HINT.credential, pattern: BEARER_OPTION }, { hint: HINT.form, pattern: FORM }, { hint: HINT.form, pattern: PART, value: LINE },
  { hint: HINT.element, pattern: ELEMENT, value: ELEMENT_VALUE },
  ...PROGRAMS.map(({ inText }) => ({ hint: HINT.program, pattern: inText })),
];

export function findInPlaces(text: string, hints: Hints, found: SecretRange[]): void {
  for (const place of PLACES) {
    if ((hints & place.hint) !== 0) findAfter(place, text, found);
  }
}

/** The scan goes on after what was found: a text of nothing but such names is read once. */
function findAfter({ pattern, value }: Place, text: string, found: SecretRange[]): void {
  for (let match = firstOf(pattern, text); match !== null; match = pattern.exec(text)) {
    const start = match.index + match[0].length;
    const end = value === undefined ? pushValue(text, start, found) : pushLike(value, text, { start, found });
    pattern.lastIndex = Math.max(end, start);
  }
}

function pushLike(value: RegExp, text: string, { start, found }: { readonly start: number; readonly found: SecretRange[] }): number {
  value.lastIndex = start;
  const end = start + (value.exec(text)?.[0].length ?? 0);
  if (end > start) found.push({ start, end });
  return end;
}
