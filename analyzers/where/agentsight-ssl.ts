/**
 * AgentSight's `--ssl-filter`, which excludes what it matches, in ours. It reads chunks of
 * plaintext before anything is parsed of them, knows brackets and escapes, and calls what
 * here is a chunk by the function that moved it. What cannot be said here, or could never
 * be true, is an error, as AgentSight takes it for a filter that fits nothing.
 */
import { AgentsightError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { compare, number, type Translation } from './agentsight.ts';
import { all, any, type Expression } from './expression.ts';
import { errorAt, refuseTooLong, type Operator } from './tokens.ts';

const SSL_OPERATORS: readonly (readonly [text: string, operator: Operator])[] = [
  ['>=', '>='], ['<=', '<='], ['!=', '!='], ['=', '='], ['>', '>'], ['<', '<'], ['~', '*='],
];
/** Of one call there, so of its whole here. */
const NUMBERS: Readonly<Record<string, string>> = { len: 'total', pid: 'pid', tid: 'tid' };
const ORDERS: readonly Operator[] = ['=', '!=', '<', '<=', '>', '>='];
const EQUALITIES: readonly Operator[] = ['=', '!='];
const TEXTS: readonly Operator[] = ['=', '!=', '*='];

/** What their `function` and `data.type` may be, and what that is here. */
const FUNCTIONS: Readonly<Record<string, Expression>> = {
  'READ/RECV': compare('direction', '=', 'read'), 'WRITE/SEND': compare('direction', '=', 'write'), HANDSHAKE: compare('event', '=', 'HANDSHAKE'),
};
const TYPES: Readonly<Record<string, Expression>> = { text: compare('payload_encoding', '=', 'utf8'), binary: compare('payload_encoding', '=', 'base64') };

interface Condition {
  readonly text: string;
  readonly column: number;
  readonly name: string;
  readonly operator: Operator;
}

/** Throws USAGE. */
export function translateSslFilter(text: string): Translation {
  refuseTooLong(text);
  const traps = new Set<string>();
  let at = 0;
  let depth = 0;

  function skipSpace(): void {
    while (at < text.length && text.charAt(at) === ' ') at++;
  }

  function anyOf(): Expression {
    const parts = [everyOf()];
    for (skipSpace(); text.charAt(at) === '|'; skipSpace()) {
      at++;
      parts.push(everyOf());
    }
    return any(...parts);
  }

  function everyOf(): Expression {
    const parts = [one()];
    for (skipSpace(); text.charAt(at) === '&'; skipSpace()) {
      at++;
      parts.push(one());
    }
    return all(...parts);
  }

  function one(): Expression {
    skipSpace();
    if (text.charAt(at) !== '(') return condition();
    const open = at + 1;
    if (++depth > LIMITS.whereDepth) throw errorAt(text, open, `more than ${LIMITS.whereDepth} levels of brackets`);
    at++;
    const inner = anyOf();
    depth--;
    skipSpace();
    if (text.charAt(at) !== ')') throw errorAt(text, at + 1, `the bracket of column ${open} is not closed`);
    at++;
    return inner;
  }

  function condition(): Expression {
    const start = at;
    while (at < text.length && !'|&()'.includes(text.charAt(at))) at += text.charAt(at) === '\\' ? 2 : 1;
    const words = text.slice(start, at);
    const place = operatorIn(words);
    if (place === null) throw errorAt(text, start + 1, 'a condition as len>100 was expected; | and & end a value');
    const name = words.slice(0, place.at).trim();
    const wasAt = operatorOfAgentSight(words);
    if (wasAt !== place.at) traps.add(`AgentSight read ${words.trim()} with a field named ${words.slice(0, wasAt).trim()}, which it has not, and so never matched it; here it does`);
    if (/\\[|&()]/.test(words)) traps.add('a backslash before | & ( or ) keeps it in the value here; in AgentSight the value ended there');
    return translated(unescaped(words.slice(place.at + place.length)), { text, column: start + 1, name, operator: place.operator });
  }

  const expression = anyOf();
  if (at < text.length) throw errorAt(text, at + 1, `${text.charAt(at)} where | or & was expected`);
  return { expression, option: '--exclude-chunk', traps: [...traps] };
}

/** The leftmost one. */
function operatorIn(words: string): { readonly at: number; readonly length: number; readonly operator: Operator } | null {
  for (let at = 0; at < words.length; at++) {
    const found = SSL_OPERATORS.find(([candidate]) => words.startsWith(candidate, at));
    if (found !== undefined) return { at, length: found[0].length, operator: found[1] };
  }
  return null;
}

/** Where the first of its list stands, wherever that is: so it misread `data~a=b`. */
function operatorOfAgentSight(words: string): number {
  return Math.max(0, words.indexOf(SSL_OPERATORS.find(([candidate]) => words.includes(candidate))?.[0] ?? ''));
}

function translated(value: string, condition: Condition): Expression {
  const { text, column, name, operator } = condition;
  const trimmed = value.trim();
  if (Object.hasOwn(NUMBERS, name)) {
    allow(ORDERS, condition);
    return number(NUMBERS[name] ?? name, operator, trimmed, condition);
  }
  switch (name) {
    case 'data':
      allow(TEXTS, condition);
      return compare('payload', operator, value);
    case 'comm':
      allow(TEXTS, condition);
      return compare('comm', operator, trimmed);
    case 'function': return named(FUNCTIONS, trimmed, condition);
    case 'data.type': return named(TYPES, trimmed, condition);
    case 'truncated': return compareUnquoted('truncated', isTrue(trimmed, condition));
    case 'is_handshake': return compare('event', isTrue(trimmed, condition) ? '=' : '!=', 'HANDSHAKE');
    default: {
      const instead = Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
      if (instead === undefined) throw errorAt(text, column, `AgentSight has no field ${name}`);
      throw new AgentsightError('USAGE', `could not translate the filter at column ${column}: ${instead.problem}`, { hint: instead.hint });
    }
  }
}

/** What AgentSight has and a chunk here has not. */
const INSTEAD: Readonly<Record<string, { readonly problem: string; readonly hint: string }>> = {
  uid: { problem: 'chunks of plaintext have no uid here', hint: 'choose by user with --uid' },
  latency_ms: {
    problem: 'how long one read or write took is not measured here',
    hint: "ask for whole exchanges: --exclude 'source = http AND latency_ms > 1000'\nor for handshakes: --exclude 'event = HANDSHAKE AND latency_ms > 1000'",
  },
  timestamp_ns: { problem: 'timestamp_ns counts from the boot in AgentSight, here events have the time of day', hint: "--exclude-chunk 'timestamp > 2026-01-31T10:00:00Z'" },
};

function allow(operators: readonly Operator[], { text, column, name, operator }: Condition): void {
  if (!operators.includes(operator)) throw errorAt(text, column, `${name} is compared with ${operators.map((each) => SSL_OPERATORS.find(([, ours]) => ours === each)?.[0] ?? each).join(' ')}`);
}

/** Those of the names that fit, each as what it is here. */
function named(names: Readonly<Record<string, Expression>>, value: string, condition: Condition): Expression {
  allow(TEXTS, condition);
  const { text, column, name, operator } = condition;
  const fits = (each: string): boolean => (operator === '*=' ? each.includes(value) : each === value);
  const known = Object.keys(names);
  if (!known.some(fits)) throw errorAt(text, column, `${name} is one of ${known.join(', ')}`);
  return any(...known.filter((each) => fits(each) === (operator !== '!=')).flatMap((each) => names[each] ?? []));
}

function isTrue(value: string, condition: Condition): boolean {
  allow(EQUALITIES, condition);
  if (value !== 'true' && value !== 'false') throw errorAt(condition.text, condition.column, `${condition.name} is true or false`);
  return (value === 'true') === (condition.operator === '=');
}

function compareUnquoted(name: string, value: boolean): Expression {
  const made = compare(name, '=', String(value));
  return made.kind === 'compare' ? { ...made, values: [{ text: String(value), quoted: false }] } : made;
}

function unescaped(value: string): string {
  return value.replaceAll(/\\([rnt\\"])/g, (_, letter: string) => ({ r: '\r', n: '\n', t: '\t', '\\': '\\', '"': '"' })[letter] ?? letter);
}
