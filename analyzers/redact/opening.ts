/**
 * Where, at the end of a text that goes on later, a secret may have begun that is none yet: the first letters of a
 * key, a password in a URL before its `@`, a value that is one only if nothing follows it in its line. Each rule of
 * `find.ts`, `named.ts` and `places.ts` that needs more than the first character of its secret has its counterpart
 * here, but for lists of tokens and elements of XML.
 *
 * Linear: what may be such a beginning is a run of certain characters, which is walked once, from its end.
 */
import type { Range } from '../http/mask.ts';
import { BORDER_BYTES, OPTION_BORDER, PARAMETER_BORDER, bordered } from './border.ts';
import { HINT, hintsInBytes } from './hints.ts';
import { NAME, SHAPES, type Shape } from './rules.ts';

export interface Opening {
  /** What comes next may make a secret of all from here. */
  readonly start: number;
  /** From where it is masked if nobody waits any longer; the end of the text where nothing is, or is already. */
  readonly secret: number;
  /** More than the first letters of a prefix, which nobody masks: half of all words begin with some. */
  readonly isKnown: boolean;
}

/** The longest run that is walked: as long as a value of a line may be. */
const RUN_BYTES = 4096;
/** What may stand before a run: the longest is a name of several words and its separator. */
const BEFORE_BYTES = 64;
/** More than any prefix of a key has, and what stands before it. */
const PREFIX_BYTES = 20 + BORDER_BYTES;

const KEY_RUN = bytesOf(/[\w.+/=-]/);
const LINE_RUN = bytesOf(/[\w+/=~!@#$%^&*.-]/);
const CREDENTIAL_RUN = bytesOf(/[\w.~+/=*-]/);
const CODE_RUN = bytesOf(/[\w%.~/+-]/);
const URL_RUN = bytesOf(/[^\s/?#"'<>]/);
const WHITE = bytesOf(/\s/);

const FIRST_LETTERS = anyAtEnd((shape) => bordered(firstLettersOf(shape), shape));
const KEY_OPENING = anyAtEnd((shape) => bordered(shape.opening, shape) + openOf(shape));
const PREFIX = new RegExp(`^(?:${SHAPES.map(({ opening }) => opening.source).join('|')})`);
const AFTER_NAME = new RegExp(String.raw`${NAME}[ \t]{0,8}(?:=>|[:=])[ \t]{0,8}$`, 'i');
const AFTER_SCHEME = new RegExp(String.raw`${bordered(/(?:Bearer|Basic)/)}[ \t]{1,8}$`, 'i');
const AFTER_CODE = new RegExp(`${PARAMETER_BORDER}code=$`);
/** With digits alone it is a port. */
const USER_INFO = /^:\/\/[^\s/?#@:"'<>\\]{0,256}:(?:(\d{1,5})|[^\s/?#"'<>\\]{1,1024})$/;
/** A token, if it is long and an `@` follows. */
const USER_ALONE = /^:\/\/[\w.~%-]{1,1024}$/;
/** With digits alone it is a group. */
const USER_DIGITS = new RegExp(String.raw`${bordered(/(?:-u|--user|--proxy-user)/, OPTION_BORDER)}[ \t=]{1,8}["']?\d{1,10}:\d{1,10}$`);

const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const SLASH = 0x2f;
const EQUALS = 0x3d;
const GREATER = 0x3e;

/** `ranges`: the secrets that the text has already. */
export function openingOf(text: Buffer, ranges: readonly Range[]): Opening | null {
  const end = text.length;
  const last = ranges.at(-1);
  // It may go on, or be told otherwise by what follows: `Authorization: Bear`.
  let opening: Opening | null = last?.end === end ? { start: last.start, secret: end, isKnown: true } : null;
  if (end === 0 || WHITE[text[end - 1] as number] === 1) return opening;
  for (const find of FINDERS) opening = joined(opening, find(text, end));
  return opening;
}

const FINDERS: readonly ((text: Buffer, end: number) => Opening | null)[] = [findKey, findFirstLetters, findLineValue, findCredential, findCode, findUserInfo, findUserDigits];

function joined(one: Opening | null, other: Opening | null): Opening | null {
  if (one === null || other === null) return one ?? other;
  return { start: Math.min(one.start, other.start), secret: Math.min(one.secret, other.secret), isKnown: one.isKnown || other.isKnown };
}

function findKey(text: Buffer, end: number): Opening | null {
  const from = Math.max(0, runStart(text, end, KEY_RUN) - BORDER_BYTES);
  const run = text.subarray(from, end);
  if ((hintsInBytes(run) & HINT.shape) === 0) return null;
  const match = KEY_OPENING.exec(run.toString('latin1'));
  if (match === null) return null;
  const start = from + match.index;
  return { start, secret: start + (PREFIX.exec(match[0])?.[0].length ?? 0), isKnown: true };
}

function findFirstLetters(text: Buffer, end: number): Opening | null {
  const from = Math.max(0, end - PREFIX_BYTES);
  const match = FIRST_LETTERS.exec(text.toString('latin1', from, end));
  return match === null ? null : { start: from + match.index, secret: end, isKnown: false };
}

/** `password: hunter2` is one if the line ends with it. */
function findLineValue(text: Buffer, end: number): Opening | null {
  const start = runStart(text, end, LINE_RUN);
  const opening = valueAfterName(text, start, end);
  return opening === null && text[start] === EQUALS ? valueAfterName(text, start + 1, end) : opening;
}

/** A look at the separator spares most of the search. */
function valueAfterName(text: Buffer, start: number, end: number): Opening | null {
  let separator = start - 1;
  while (text[separator] === SPACE || text[separator] === TAB) separator -= 1;
  const byte = text[separator];
  if (start === end || (byte !== COLON && byte !== EQUALS && byte !== GREATER)) return null;
  return knownAfter(AFTER_NAME, text, start);
}

function findCredential(text: Buffer, end: number): Opening | null {
  const start = runStart(text, end, CREDENTIAL_RUN);
  if (text[start - 1] !== SPACE && text[start - 1] !== TAB) return null;
  return start === end ? null : knownAfter(AFTER_SCHEME, text, start);
}

function findCode(text: Buffer, end: number): Opening | null {
  const start = runStart(text, end, CODE_RUN);
  return start === end || text[start - 1] !== EQUALS ? null : knownAfter(AFTER_CODE, text, start);
}

function knownAfter(before: RegExp, text: Buffer, start: number): Opening | null {
  return before.test(text.toString('latin1', Math.max(0, start - BEFORE_BYTES), start)) ? { start, secret: start, isKnown: true } : null;
}

/** `://me:hunter2` is one if an `@` follows. */
function findUserInfo(text: Buffer, end: number): Opening | null {
  const start = runStart(text, end, URL_RUN) - 3;
  if (text[start + 2] !== SLASH || text[start + 1] !== SLASH || text[start] !== COLON) return null;
  const run = text.toString('latin1', start, end);
  if (USER_ALONE.test(run)) return { start: start + 3, secret: end, isKnown: false };
  const match = USER_INFO.exec(run);
  if (match === null) return null;
  const password = text.indexOf(COLON, start + 1) + 1;
  return match[1] === undefined ? { start: password, secret: password, isKnown: true } : { start: password, secret: end, isKnown: false };
}

function findUserDigits(text: Buffer, end: number): Opening | null {
  const last = text[end - 1] as number;
  if (last < 0x30 || last > 0x39) return null;
  const from = Math.max(0, end - BEFORE_BYTES);
  return USER_DIGITS.test(text.toString('latin1', from, end)) ? { start: text.lastIndexOf(COLON) + 1, secret: end, isKnown: false } : null;
}

function runStart(text: Buffer, end: number, run: Uint8Array): number {
  const least = Math.max(0, end - RUN_BYTES);
  let start = end;
  while (start > least && run[text[start - 1] as number] === 1) start -= 1;
  return start;
}

function bytesOf(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (characters.test(String.fromCharCode(byte)) ? 1 : 0));
}

function anyAtEnd(sourceOf: (shape: Shape) => string): RegExp {
  return new RegExp(`(?:${SHAPES.map(sourceOf).join('|')})$`);
}

/** One of them or more, but not the last. */
function firstLettersOf({ opening }: Shape): RegExp {
  const letters = opening.source.match(/\[[^\]]*\]|\\.|./g) ?? [];
  return new RegExp(letters.slice(0, -1).reduceRight((rest, letter) => letter + (rest === '' ? '' : `(?:${rest})?`), ''));
}

/** Less than the rest needs. */
function openOf({ rest, open }: Shape): string {
  return open?.source ?? rest.source.replace(/\{(\d+),\}$/, (_, least: string) => `{0,${Number(least) - 1}}`);
}
