/**
 * AgentSight's `--http-filter`, which excludes what it matches, in ours. It reads parsed
 * messages: `|` is OR, `&` is AND and binds closer, no brackets, no quotes. What meant
 * something else there than it says is told as a trap. Its `contains` knows upper and
 * lower case, as our `*=` does. The other language is in `agentsight-ssl.ts`.
 */
import { all, any, type Expression } from './expression.ts';
import { fieldOf, type Field } from './fields.ts';
import { errorAt, refuseTooLong, type Operator } from './tokens.ts';

export interface Translation {
  /** Of what is left out. */
  readonly expression: Expression;
  /** Ours that leaves that out. */
  readonly option: '--exclude' | '--exclude-chunk';
  readonly traps: readonly string[];
}

function field(name: string): Field {
  const found = fieldOf(name);
  if (found === null) throw new Error(`no field ${name}`);
  return found;
}

export function compare(name: string, operator: Operator, ...texts: readonly string[]): Expression {
  return { kind: 'compare', field: field(name), operator, values: texts.map((text) => ({ text, quoted: true })) };
}

/** Throws USAGE where it is none. */
export function number(name: string, operator: Operator, text: string, { text: whole, column }: Pick<Place, 'text' | 'column'>): Expression {
  if (!/^\d+$/.test(text)) throw errorAt(whole, column, `${text === '' ? 'nothing' : text} is no number`);
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
  return { expression: all(compare('source', '=', 'http'), any(...alternatives)), option: '--exclude', traps: [...traps] };
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
    case 'code': return number('status', '=', value, { text, column });
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
