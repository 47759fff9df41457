/** Where secrets are in text, in an HTTP head, and in a body. */
import { bytesMayHoldSecret, textMayHoldSecret } from './hints.ts';
import { AUTH_SCHEME, isSecretHeader, RULES } from './rules.ts';

/** Bytes, or characters of text: `start` inclusive, `end` exclusive. */
export interface SecretRange {
  readonly start: number;
  readonly end: number;
}

const NONE: readonly SecretRange[] = [];

/**
 * For the `http` analyzer: ranges in a message head (start line and fields, as
 * on the wire) or in a decoded body. Sorted, without overlap.
 */
export function locateSecrets(part: 'head' | 'body', bytes: Buffer): readonly SecretRange[] {
  const text = bytes.toString('latin1');
  if (part === 'body') return rangesInForm(text);
  return merge([...rangesInText(text), ...fieldRanges(text)]);
}

/** Sorted, without overlap. */
export function rangesInBytes(bytes: Buffer): readonly SecretRange[] {
  return bytesMayHoldSecret(bytes) ? applyRules(bytes.toString('latin1')) : NONE;
}

/** Sorted, without overlap. */
export function rangesInText(text: string): readonly SecretRange[] {
  return textMayHoldSecret(text) ? applyRules(text) : NONE;
}

function applyRules(text: string): readonly SecretRange[] {
  const found: SecretRange[] = [];
  for (const rule of RULES) {
    for (const match of text.matchAll(rule)) {
      const end = match.index + match[0].length;
      // Group 1, where there is one, ends where the match ends but for a delimiter such as @.
      const secret = match[1] ?? match[0];
      const start = match[1] === undefined ? match.index : text.lastIndexOf(secret, end - secret.length);
      found.push({ start, end: start + secret.length });
    }
  }
  return found.length === 0 ? NONE : merge(found);
}

/** The first parameter of a form body has no & before it. */
function rangesInForm(text: string): readonly SecretRange[] {
  const ranges = rangesInText(text);
  if (!/^[\w.-]{1,64}=/.test(text)) return ranges;
  const first = rangesInText(`?${text.slice(0, text.indexOf('&') === -1 ? undefined : text.indexOf('&'))}`);
  return merge([...ranges, ...first.map(({ start, end }) => ({ start: start - 1, end: end - 1 }))]);
}

/** Values of fields whose name says that they are secret. */
function fieldRanges(text: string): SecretRange[] {
  const found: SecretRange[] = [];
  let start = text.indexOf('\n') + 1;
  while (start > 0 && start < text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const colon = text.indexOf(':', start);
    if (colon > start && colon < end && isSecretHeader(text.slice(start, colon).toLowerCase())) {
      const value = valueRange(text, colon + 1, end);
      if (value !== null) found.push(value);
    }
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
  return whole === null ? NONE : [whole];
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d;
}

function merge(ranges: readonly SecretRange[]): readonly SecretRange[] {
  if (ranges.length < 2) return ranges;
  const merged: SecretRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || range.start > last.end) merged.push(range);
    else if (range.end > last.end) merged[merged.length - 1] = { start: last.start, end: range.end };
  }
  return merged;
}
