/** Where a value begins and ends: bare, or in quotes as deep as JSON in JSON makes them. */
import { AUTH_SCHEME } from './rules.ts';

export interface SecretRange {
  readonly start: number;
  readonly end: number;
}

/** Where a value without quotes ends. */
const BARE_END = /[\s\x1b"'`&;,<>(){}[\]\\|]/g;
export const COOKIE_END = /["'`\\\r\n]/g;
const DOUBLE_OR_LINE = /["\r\n]/g;
const SINGLE_OR_LINE = /['\r\n]/g;

export interface Named {
  readonly name: string;
  readonly found: SecretRange[];
}

/** Returns where the value ends. */
export function pushValue(text: string, start: number, found: SecretRange[]): number {
  return isQuote(text, start) ? pushQuoted(text, start, { name: '', found }) : pushBare(text, start, found);
}

/** Returns where the value ends. */
export function pushBare(text: string, start: number, found: SecretRange[]): number {
  const end = indexFrom(BARE_END, text, start);
  if (end > start) found.push({ start, end });
  return end;
}

export function isQuote(text: string, at: number): boolean {
  let quote = at;
  while (text[quote] === '\\' && quote - at < 15) quote += 1;
  return text[quote] === '"' || text[quote] === "'";
}

/** From a quote behind any backslashes to the same quote behind as many; to the end of the line when the value was cut. */
export function pushQuoted(text: string, at: number, { name, found }: Named): number {
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
export function afterScheme(text: string, start: number, name: string): number {
  if (!/^authorization$/i.test(name)) return start;
  return start + (AUTH_SCHEME.exec(text.slice(start, start + 32))?.[0].length ?? 0);
}

/** Patterns are used again, from the beginning: a new one for each text costs as much as reading a short one. */
export function firstOf(pattern: RegExp, text: string): RegExpExecArray | null {
  pattern.lastIndex = 0;
  return pattern.exec(text);
}

export function indexFrom(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? text.length;
}
