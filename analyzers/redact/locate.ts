/** Where secrets are in text, in an HTTP head, and in a body. */
import type { LocateSecrets, SecretPart } from '../http/mask.ts';
import { findCounted, findSecrets, merge, settle, type SecretRange } from './find.ts';
import { HINT, type Hints, hintsInBytes, hintsInText } from './hints.ts';
import { type Fingerprint, marksIn } from './marks.ts';
import { AUTH_SCHEME, isSecretHeader } from './rules.ts';

export type { SecretRange };

const NONE: readonly SecretRange[] = [];
const IN_TEXT: Hints = ~HINT.field;

/**
 * For the `http` analyzer: ranges in a message head (start line and fields, as
 * on the wire), in a decoded body, which may be no text, or in text. Sorted, without overlap; what is masked
 * already is not found again.
 */
export function locateSecrets(part: SecretPart, bytes: Buffer): readonly SecretRange[] {
  if (part === 'text') return rangesInBytes(bytes);
  const hints = hintsInBytes(bytes);
  const more = part === 'body' ? HINT.shape : HINT.field;
  if ((hints & more) === 0) return (hints & IN_TEXT) === 0 ? NONE : findSecrets(bytes.toString('latin1'), hints);
  const findMore = part === 'body' ? findCounted : fieldRanges;
  return settle(bytes.toString('latin1'), (text) => merge(text, [...findSecrets(text, hints), ...findMore(text)]));
}

/** The same, and each range says what its secrets are told by. */
export function createSecretLocator(fingerprint: Fingerprint): LocateSecrets {
  return (part, bytes) => {
    const ranges = locateSecrets(part, bytes);
    if (ranges.length === 0) return ranges;
    const text = bytes.toString('latin1');
    return ranges.map((range) => ({ ...range, secrets: marksIn(text, range, { fingerprint, encoding: 'latin1' }) }));
  };
}

/** Sorted, without overlap. */
export function rangesInBytes(bytes: Buffer): readonly SecretRange[] {
  const hints = hintsInBytes(bytes);
  return (hints & IN_TEXT) === 0 ? NONE : findSecrets(bytes.toString('latin1'), hints);
}

/** Sorted, without overlap. */
export function rangesInText(text: string): readonly SecretRange[] {
  const hints = hintsInText(text);
  return (hints & IN_TEXT) === 0 ? NONE : findSecrets(text, hints);
}

/** Values of fields whose name says that they are secret, folded lines of them too. */
function fieldRanges(text: string): SecretRange[] {
  const found: SecretRange[] = [];
  let start = text.indexOf('\n') + 1;
  let isSecret = false;
  while (start > 0 && start < text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const isFolded = text.charCodeAt(start) === 0x20 || text.charCodeAt(start) === 0x09;
    const colon = text.indexOf(':', start);
    if (!isFolded) isSecret = colon > start && colon < end && isSecretHeader(text.slice(start, colon).trimEnd().toLowerCase());
    const value = isSecret ? valueRange(text, isFolded ? start : colon + 1, end) : null;
    if (value !== null) found.push(value);
    start = end + 1;
  }
  return found;
}

/** Without the white space around it and the scheme in front. */
function valueRange(text: string, from: number, to: number): SecretRange | null {
  let start = from;
  let end = to;
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  start += AUTH_SCHEME.exec(text.slice(start, Math.min(end, start + 32)))?.[0].length ?? 0;
  return end > start ? { start, end } : null;
}

/** Of a header's value alone, as an event has it. */
export function rangesInHeader(name: string, value: string): readonly SecretRange[] {
  if (!isSecretHeader(name.toLowerCase())) return rangesInText(value);
  const whole = valueRange(value, 0, value.length);
  return whole === null ? NONE : merge(value, [whole]);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d;
}
