/**
 * What a masked secret is told by: `anthropic:3fa9c2d81b07`, its kind and a
 * fingerprint that is the same wherever the same secret stands.
 */
import type { SecretMarks } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { type SecretRange, findShapes } from './find.ts';
import { SHAPES } from './rules.ts';

/** Gives the same short text for the same bytes, and nothing to find them by. */
export type Fingerprint = (secret: Uint8Array) => string;

/** Fewer characters are not told apart: a value as `on` is no key. */
const LEAST_CHARACTERS = 6;
/** Part of it was masked before: its name would be that of the mask. */
const MASKED = /\*\*/;
const WHOLE_SHAPES = SHAPES.map(({ kind, pattern }) => ({ kind, pattern: new RegExp(`^(?:${pattern.source})$`) }));
/** Kinds that are told by what stands before. */
const PLACES: readonly { readonly kind: string; readonly before: RegExp }[] = [
  { kind: 'private_key', before: /PRIVATE(?: |\+|%20)KEY(?:(?: |\+|%20)BLOCK)?-----$/ },
  { kind: 'slack', before: /hooks\.slack\.com\/[a-z]{1,12}\/$/ },
  { kind: 'basic', before: /Basic[ \t]{1,8}$/i },
  { kind: 'password', before: /:\/\/[^\s/?#@]{0,40}:$/ },
];
const PLACE_CHARACTERS = 48;
/** In JSON, in a URL and in a file the lines of a key end differently. */
const LINE_ENDS = /\\[nr]|%0[ADad]|\s/g;
const PERCENT = /%(?:2[BFbf]|3[Dd])/g;

export interface MarkOptions {
  readonly fingerprint: Fingerprint;
  /** What a character of the text stands for. */
  readonly encoding: 'latin1' | 'utf8';
}

/** Of what one range of the text holds: keys of a known shape in it, else all of it. Empty where it is too short or masked. */
export function marksIn(text: string, { start, end }: SecretRange, { fingerprint, encoding }: MarkOptions): SecretMarks {
  const secret = text.slice(start, end);
  if (secret.length < LEAST_CHARACTERS || MASKED.test(secret)) return [];
  const keys = findShapes(secret).map((range) => secret.slice(range.start, range.end));
  if (keys.length > 0) return keys.slice(0, LIMITS.eventSecrets + 1).map((key) => `${shapeOf(key)}:${fingerprint(Buffer.from(key, encoding))}`);
  const before = text.slice(Math.max(0, start - PLACE_CHARACTERS), start);
  const kind = PLACES.find((place) => place.before.test(before))?.kind ?? 'named';
  const told = kind === 'private_key' ? secret.replaceAll(LINE_ENDS, '').replaceAll(PERCENT, decodeURIComponent) : secret;
  return [`${kind}:${fingerprint(Buffer.from(told, encoding))}`];
}

function shapeOf(key: string): string {
  return WHOLE_SHAPES.find(({ pattern }) => pattern.test(key))?.kind ?? 'named';
}

/** Each once, up to a limit. `onFull` is told how many are left out. */
export function joinMarks(marks: SecretMarks, more: SecretMarks, onFull: (count: number) => void): SecretMarks {
  if (more.length === 0) return marks;
  const all = [...new Set([...marks, ...more])];
  if (all.length > LIMITS.eventSecrets) onFull(all.length - LIMITS.eventSecrets);
  return all.slice(0, LIMITS.eventSecrets);
}

/** To be spread into the data of an event: the list is there only where something was masked. */
export function withMarks(marks: SecretMarks): { readonly secrets?: SecretMarks } {
  return marks.length === 0 ? {} : { secrets: marks };
}
