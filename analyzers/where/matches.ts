/**
 * Runs a filter over events. Where a field has a list, `=` fits when one of its
 * elements does, `~`, `*=` and `^=` look at its elements joined by spaces. `~` and `!~`
 * know no upper and lower case. Payloads stay bytes. A field that an event does not
 * have is `null`: it fits `= null` and every `!=` and `!~`, and nothing else.
 */
import { isUtf8 } from 'node:buffer';
import type { Event } from '../../src/event.ts';
import type { Expression, Value } from './expression.ts';
import type { Field, Path } from './fields.ts';
import type { Operator } from './tokens.ts';
import { epochNanoseconds } from './values.ts';

export type Predicate = (event: Event) => boolean;

type Test = (value: unknown) => boolean;

/** Made once, run per event. */
export function compileWhere(expression: Expression): Predicate {
  switch (expression.kind) {
    case 'all': {
      const parts = expression.of.map(compileWhere);
      return (event) => parts.every((part) => part(event));
    }
    case 'any': {
      const parts = expression.of.map(compileWhere);
      return (event) => parts.some((part) => part(event));
    }
    case 'not': {
      const part = compileWhere(expression.of);
      return (event) => !part(event);
    }
    case 'present': {
      const read = readerOf(expression.field);
      return (event) => isPresent(read(event));
    }
    case 'compare': {
      const read = readerOf(expression.field);
      const { negated, tests } = testsFor(expression.operator, expression.values);
      return (event) => {
        const value = read(event);
        return tests.some((test) => test(value)) !== negated;
      };
    }
  }
}

function readerOf({ paths }: Field): (event: Event) => unknown {
  const [first = []] = paths;
  if (paths.length === 1) return (event) => readPath(event, first);
  return (event) => {
    for (const path of paths) {
      const value = readPath(event, path);
      if (value !== undefined && value !== null) return value;
    }
    return null;
  };
}

function readPath(event: Event, path: Path): unknown {
  let value: unknown = event;
  for (const [index, key] of path.entries()) {
    if (index === 2 && typeof value === 'string' && JSON_TEXTS.has(path[1] ?? '')) value = jsonOf(value);
    if (typeof value !== 'object' || value === null) return null;
    if (index === 1 && key === 'payload_encoding') return payloadEncoding(value);
    value = Object.hasOwn(value, key) ? (value as Readonly<Record<string, unknown>>)[key] : null;
  }
  return value;
}

/** What is JSON in a text, so that a path may go into it. */
const JSON_TEXTS: ReadonlySet<string> = new Set(['params', 'result']);

/** null of a text that was cut. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** As `event-json.ts` will write it. */
function payloadEncoding(data: object): string | null {
  return 'payload' in data && data.payload instanceof Uint8Array ? (isUtf8(data.payload) ? 'utf8' : 'base64') : null;
}

function isPresent(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false;
  return Array.isArray(value) || value instanceof Uint8Array ? value.length > 0 : true;
}

function testsFor(operator: Operator, values: readonly Value[]): { readonly negated: boolean; readonly tests: readonly Test[] } {
  switch (operator) {
    case '=': return { negated: false, tests: values.map(equals) };
    case '!=': return { negated: true, tests: values.map(equals) };
    case '~': return { negated: false, tests: values.map(contains) };
    case '!~': return { negated: true, tests: values.map(contains) };
    case '^=': return { negated: false, tests: values.map(beginsWith) };
    case '*=': return { negated: false, tests: values.map(containsExactly) };
    default: return { negated: false, tests: values.map((value) => inOrder(operator, value)) };
  }
}

function equals({ text, quoted }: Value): Test {
  const number = quoted || text.trim() === '' ? Number.NaN : Number(text);
  const integer = !quoted && /^-?\d+$/.test(text) ? BigInt(text) : null;
  const time = quoted ? null : epochNanoseconds(text);
  const bytes = Buffer.from(text);
  const test: Test = (value) => {
    switch (typeof value) {
      case 'string': return value === text;
      case 'number': return value === number;
      case 'bigint': return value === (integer ?? time);
      case 'boolean': return !quoted && text === String(value);
      default:
        if (value === null || value === undefined) return !quoted && text === 'null';
        if (value instanceof Uint8Array) return bytes.equals(value);
        return Array.isArray(value) && value.some(test);
    }
  };
  return test;
}

function contains({ text }: Value): Test {
  const wanted = text.toLowerCase();
  const wantedBytes = asciiLower(Buffer.from(text).toString('latin1'));
  return (value) => {
    if (value instanceof Uint8Array) return asciiLower(latin1(value)).includes(wantedBytes);
    const whole = textOf(value);
    return whole !== null && whole.toLowerCase().includes(wanted);
  };
}

function containsExactly({ text }: Value): Test {
  const wantedBytes = Buffer.from(text);
  return (value) => {
    if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).includes(wantedBytes);
    return textOf(value)?.includes(text) ?? false;
  };
}

function beginsWith({ text }: Value): Test {
  const wantedBytes = Buffer.from(text);
  return (value) => {
    if (value instanceof Uint8Array) return wantedBytes.equals(value.subarray(0, wantedBytes.length));
    return textOf(value)?.startsWith(text) ?? false;
  };
}

function inOrder(operator: '<' | '<=' | '>' | '>=', { text }: Value): Test {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  const exact = /^-?\d+$/.test(text) ? BigInt(text) : epochNanoseconds(text);
  const compare = (sign: number): boolean => (operator.startsWith('<') ? sign < 0 : sign > 0) || (operator.length === 2 && sign === 0);
  return (value) => {
    if (typeof value === 'number') return !Number.isNaN(number) && compare(value - number);
    if (typeof value === 'bigint') return exact !== null && compare(value < exact ? -1 : value > exact ? 1 : 0);
    return false;
  };
}

function textOf(value: unknown): string | null {
  switch (typeof value) {
    case 'string': return value;
    case 'number':
    case 'bigint':
    case 'boolean': return String(value);
    default: return Array.isArray(value) ? value.map((element) => textOf(element) ?? '').join(' ') : null;
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Of bytes only the letters of ASCII have a case: half of another character must not become half of a third. */
function asciiLower(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
