/**
 * Filter expressions, by recursive descent:
 *
 *     any     = every { OR every }
 *     every   = one { AND one }
 *     one     = NOT one | ( any ) | FIELD | FIELD operator value | FIELD [NOT] IN list
 *     value   = WORD | "text" | list          list = ( value, value ) or [ value, value ]
 *
 * AND, OR, NOT and IN in any case; `&&`, `||` and `!` as well.
 */
import { LIMITS } from '../../src/limits.ts';
import { all, any, type Expression, type Value } from './expression.ts';
import { fieldOf, nearestField, type Field } from './fields.ts';
import { errorAt, tokensOf, type Operator, type Token } from './tokens.ts';
import { problemWith } from './values.ts';

/** Throws USAGE, pointing at the column. */
export function parseWhere(text: string): Expression {
  const tokens = tokensOf(text);
  let at = 0;
  let depth = 0;

  const peek = (): Token => tokens[at] ?? { kind: 'end', column: text.length + 1 };
  const next = (): Token => {
    const token = peek();
    at++;
    return token;
  };
  const fail = (token: Token, problem: string): Error => errorAt(text, token.column, problem);
  const takes = (word: string, mark?: string): boolean => {
    const token = peek();
    const found = (token.kind === 'word' && token.text.toLowerCase() === word) || (token.kind === 'mark' && token.text === mark);
    if (found) at++;
    return found;
  };

  function anyOf(): Expression {
    const parts = [everyOf()];
    while (takes('or', '||')) parts.push(everyOf());
    return any(...parts);
  }

  function everyOf(): Expression {
    const parts = [one()];
    while (takes('and', '&&')) parts.push(one());
    return all(...parts);
  }

  function one(): Expression {
    const start = peek();
    if (++depth > LIMITS.whereDepth) throw fail(start, `more than ${LIMITS.whereDepth} levels of brackets and NOT`);
    const expression = oneOf(start);
    depth--;
    return expression;
  }

  function oneOf(start: Token): Expression {
    if (takes('not', '!')) return { kind: 'not', of: one() };
    if (start.kind !== 'mark' || start.text !== '(') return comparison();
    at++;
    const inner = anyOf();
    const end = next();
    if (end.kind !== 'mark' || end.text !== ')') throw fail(end, `${shown(end)} where ) must close the bracket of column ${start.column}`);
    return inner;
  }

  function comparison(): Expression {
    const field = fieldAt(next());
    const token = peek();
    if (token.kind === 'operator') {
      at++;
      return { kind: 'compare', field, operator: token.operator, values: valuesFor(field, token.operator, token) };
    }
    if (takes('in')) return { kind: 'compare', field, operator: '=', values: list(field, '=') };
    const following = tokens[at + 1];
    if (token.kind === 'word' && token.text.toLowerCase() === 'not' && following?.kind === 'word' && following.text.toLowerCase() === 'in') {
      at += 2;
      return { kind: 'compare', field, operator: '!=', values: list(field, '!=') };
    }
    return { kind: 'present', field };
  }

  function fieldAt(token: Token): Field {
    if (token.kind !== 'word') throw fail(token, `${shown(token)} where the name of a field was expected`);
    const field = fieldOf(token.text);
    if (field !== null) return field;
    const nearest = nearestField(token.text);
    throw fail(token, `there is no field ${token.text}${nearest === null ? '' : `; did you mean ${nearest}?`}`);
  }

  function valuesFor(field: Field, operator: Operator, after: Token): readonly Value[] {
    const token = peek();
    const isOrder = operator === '<' || operator === '<=' || operator === '>' || operator === '>=';
    if (token.kind === 'mark' && (token.text === '(' || token.text === '[')) {
      if (isOrder) throw fail(token, `${operator} compares with one value, not with a list`);
      return list(field, operator);
    }
    return [value(field, operator, after)];
  }

  function list(field: Field, operator: Operator): readonly Value[] {
    const open = next();
    if (open.kind !== 'mark' || (open.text !== '(' && open.text !== '[')) throw fail(open, `${shown(open)} where a list as (a, b) was expected`);
    const close = open.text === '(' ? ')' : ']';
    const values = [value(field, operator, open)];
    for (let token = next(); ; token = next()) {
      if (token.kind === 'mark' && token.text === close) return values;
      if (token.kind !== 'mark' || token.text !== ',') throw fail(token, `${shown(token)} where , or ${close} was expected`);
      values.push(value(field, operator, token));
    }
  }

  function value(field: Field, operator: Operator, after: Token): Value {
    const token = next();
    if (token.kind === 'quoted' || token.kind === 'word') {
      const read = { text: token.text, quoted: token.kind === 'quoted' };
      const problem = problemWith(field, operator, read);
      if (problem !== null) throw fail(token, problem);
      return read;
    }
    throw fail(token, `${shown(token)} where a value was expected after ${shown(after)}`);
  }

  if (peek().kind === 'end') throw fail(peek(), 'it is empty; write as in status >= 400');
  const expression = anyOf();
  const rest = peek();
  if (rest.kind !== 'end') throw fail(rest, `${shown(rest)} where AND, OR or the end was expected`);
  return expression;
}

function shown(token: Token): string {
  switch (token.kind) {
    case 'end': return 'the filter ends';
    case 'operator': return token.operator;
    case 'quoted': return JSON.stringify(token.text);
    default: return token.text;
  }
}
