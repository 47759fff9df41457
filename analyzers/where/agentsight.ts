/**
 * AgentSight's two filter languages, which exclude what they match, in ours.
 * `--http-filter` reads parsed messages: `|` is OR, `&` is AND and binds
 * closer, no brackets, no quotes. `--ssl-filter` reads chunks of plaintext and
 * knows brackets and escapes. What meant something else there than it says is
 * told as a trap. Its `contains` knows upper and lower case, as our `*=` does.
 */
import { AgentsightError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { all, any, type Expression } from './expression.ts';
import { fieldOf, type Field } from './fields.ts';
import { errorAt, refuseTooLong, type Operator } from './tokens.ts';

export interface Translation {
  /** Of what is left out. */
  readonly expression: Expression;
  readonly traps: readonly string[];
}

function field(name: string): Field {
  const found = fieldOf(name);
  if (found === null) throw new Error(`no field ${name}`);
  return found;
}

function compare(name: string, operator: Operator, ...texts: readonly string[]): Expression {
  return { kind: 'compare', field: field(name), operator, values: texts.map((text) => ({ text, quoted: true })) };
}

function number(name: string, operator: Operator, text: string): Expression {
  return { kind: 'compare', field: field(name), operator, values: [{ text, quoted: false }] };
}

/** Throws USAGE. */
export function translateHttpFilter(text: string): Translation {
  refuseTooLong(text);
  const traps = new Set<string>();
  let column = 1;
  const alternatives = text.split('|').map((alternative) => {
    const sides = new Set<string>();
    const conditions = alternative.split('&').map((condition) => {
      const here = column;
      column += condition.length + 1;
      if (isPerhapsOfValue(text, here, condition)) traps.add(`${text.charAt(here - 2)} ends a value, here as in AgentSight: ${condition.trim()} of column ${here} is a condition of its own`);
      return httpCondition(condition.trim(), { text, column: here, sides, traps });
    });
    const [side] = sides;
    if (sides.size > 1) traps.add('a condition on the request together with one on the response never matched in AgentSight, where they are two events; here it does');
    else traps.add(`a condition on the ${side} left out nothing but that ${side} in AgentSight, where an exchange is two events; here it leaves out the exchange`);
    return all(...conditions);
  });
  return { expression: all(compare('source', '=', 'http'), any(...alternatives)), traps: [...traps] };
}

/** What comes after a `|` or `&` without a space may be meant as the rest of a value, unless it says of which side it is. */
function isPerhapsOfValue(text: string, column: number, condition: string): boolean {
  return column > 1 && /^\S\S/.test(text.slice(column - 3)) && /^\S/.test(condition) && !/^(?:request|req|response|resp|res)\./.test(condition);
}

interface Place {
  readonly text: string;
  readonly column: number;
  readonly sides: Set<string>;
  readonly traps: Set<string>;
}

function httpCondition(condition: string, place: Place): Expression {
  if (condition === '') throw errorAt(place.text, place.column, 'there is no condition here; AgentSight would have matched nothing');
  const equals = condition.indexOf('=');
  if (equals === -1) {
    place.sides.add('request');
    return compare('path', '*=', condition);
  }
  const value = condition.slice(equals + 1).trim();
  const [, target = '', name = ''] = /^(?:(request|req|response|resp|res)\.)?(.*)$/.exec(condition.slice(0, equals).trim()) ?? [];
  const isResponse = target.startsWith('res');
  place.sides.add(isResponse ? 'response' : 'request');
  return isResponse ? responseCondition(name, value, place) : requestCondition(name, value, place);
}

function requestCondition(name: string, value: string, { traps }: Place): Expression {
  switch (name) {
    case 'method':
    case 'verb': return compare('method', '=', value.toUpperCase());
    case 'path':
    case 'path_exact': return compare('path', '=', value);
    case 'path_prefix':
    case 'path_starts_with': return compare('path', '^=', value);
    case 'path_contains':
    case 'path_includes': return compare('path', '*=', value);
    case 'host':
    case 'hostname': return compare('host', '=', value);
    case 'body':
    case 'body_contains': return value === '' ? emptyBody('request', traps) : compare('request_body', '*=', value);
    default:
      traps.add(`request.${name} is no field of AgentSight's, which looked for ${name}=${value} in the query of the URL; so do we`);
      return compare('url', '*=', `${name}=${value}`);
  }
}

/** Of those that HTTP allows, what is a word in our language. */
const HEADER_NAME = /^[\w.#$%+`-]+$/;

function responseCondition(name: string, value: string, { text, column, traps }: Place): Expression {
  switch (name) {
    case 'status_code':
    case 'status':
    case 'code': return number('status', '=', value);
    case 'status_text':
    case 'status_message': return compare('status_text', '~', value);
    case 'content_type':
    case 'content-type': return compare('response.header.content-type', '*=', value);
    case 'server': return compare('response.header.server', '*=', value);
    case 'body':
    case 'body_contains': return value === '' ? emptyBody('response', traps) : compare('response_body', '*=', value);
    default:
      if (!HEADER_NAME.test(name)) throw errorAt(text, column, `${name === '' ? 'nothing' : name} is no name of a header`);
      return compare(`response.header.${name}`, '*=', value);
  }
}

function emptyBody(side: 'request' | 'response', traps: Set<string>): Expression {
  traps.add(`${side}.body= matched every ${side} in AgentSight and dropped them all; here it means those without a body`);
  return { kind: 'compare', field: field(`${side}_body`), operator: '=', values: [{ text: 'null', quoted: false }, { text: '', quoted: true }] };
}

const SSL_OPERATORS: readonly (readonly [text: string, operator: Operator])[] = [
  ['>=', '>='], ['<=', '<='], ['!=', '!='], ['=', '='], ['>', '>'], ['<', '<'], ['~', '*='],
];
const SSL_NUMBERS: Readonly<Record<string, string>> = { len: 'len', pid: 'pid', tid: 'tid' };

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
    return sslCondition(name, place.operator, unescaped(words.slice(place.at + place.length)), { column: start + 1, text, traps });
  }

  const expression = anyOf();
  if (at < text.length) throw errorAt(text, at + 1, `${text.charAt(at)} where | or & was expected`);
  return { expression: all(compare('source', '=', 'tls'), expression), traps: [...traps] };
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

function sslCondition(name: string, operator: Operator, value: string, { text, column, traps }: Omit<Place, 'sides'>): Expression {
  if (Object.hasOwn(SSL_NUMBERS, name)) return number(SSL_NUMBERS[name] ?? name, operator, value.trim());
  switch (name) {
    case 'data': return compare('payload', operator, value);
    case 'data.type': return compare('payload_encoding', operator, value.trim() === 'binary' ? 'base64' : 'utf8');
    case 'function': return compare('direction', operator, /read|recv/i.test(value) ? 'read' : 'write');
    case 'comm': return compare('comm', operator, value.trim());
    case 'truncated': return number('truncated', operator, value.trim());
    case 'is_handshake': {
      const wanted = (value.trim() === 'true') === (operator === '=');
      return compare('event', wanted ? '=' : '!=', 'HANDSHAKE');
    }
    case 'timestamp_ns':
      traps.add('timestamp_ns counts from the boot in AgentSight, from 1970 here');
      return number('timestamp', operator, value.trim());
    case 'uid':
    case 'latency_ms':
      throw new AgentsightError('USAGE', `could not translate the filter at column ${column}: chunks of plaintext have no ${name} here`, {
        hint: name === 'uid' ? 'choose by user with --uid' : 'ask for the latency of whole exchanges: --exclude \'source = http AND latency_ms > 1000\'',
      });
    default: throw errorAt(text, column, `AgentSight has no field ${name}`);
  }
}

function unescaped(value: string): string {
  return value.replaceAll(/\\([rnt\\"])/g, (_, letter: string) => ({ r: '\r', n: '\n', t: '\t', '\\': '\\', '"': '"' })[letter] ?? letter);
}
