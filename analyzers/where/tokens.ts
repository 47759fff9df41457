/**
 * The words of a filter expression. A value, which stands after an operator or
 * in a list, goes on to the next space, comma or bracket, so that `/v1?a=b`
 * needs no quotes; anything else ends at an operator.
 */
import { LIMITS } from '../../src/limits.ts';
import { AgentsightError } from '../../src/errors.ts';

export const OPERATORS = ['=', '!=', '<=', '>=', '<', '>', '~', '!~', '^=', '*='] as const;
export type Operator = (typeof OPERATORS)[number];

export type Token =
  | { readonly kind: 'word' | 'quoted'; readonly text: string; readonly column: number }
  | { readonly kind: 'operator'; readonly operator: Operator; readonly column: number }
  | { readonly kind: 'mark'; readonly text: '(' | ')' | '[' | ']' | ',' | '!' | '&&' | '||'; readonly column: number }
  | { readonly kind: 'end'; readonly column: number };

const SPACE = /\s/;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"', "'": "'" };
const MARKS = ['&&', '||', '(', ')', '[', ']', ',', '!'] as const;
/** Longest first: `<=` is not `<`. */
const OPERATOR_TEXTS: readonly (readonly [text: string, operator: Operator])[] = [
  ['!=', '!='], ['!~', '!~'], ['<=', '<='], ['>=', '>='], ['^=', '^='], ['*=', '*='], ['==', '='], ['=', '='], ['<', '<'], ['>', '>'], ['~', '~'],
];
const END_OF_VALUE = /[\s,()[\]]/;
const END_OF_WORD = /[\s,()[\]=!<>~^*"'&|]/;

/** USAGE, with the expression and a mark under the column. Columns count from 1. */
export class WhereError extends AgentsightError {
  readonly column: number;

  constructor(text: string, column: number, problem: string) {
    super('USAGE', `could not read the filter at column ${column}: ${problem}`, { hint: `${text.replaceAll(/\s/g, ' ')}\n${' '.repeat(column - 1)}^` });
    this.column = column;
  }
}

export function errorAt(text: string, column: number, problem: string): WhereError {
  return new WhereError(text, column, problem);
}

/** Throws USAGE. */
export function refuseTooLong(text: string): void {
  if (text.length <= LIMITS.whereCharacters) return;
  throw new AgentsightError('USAGE', `could not read the filter: it has ${text.length} characters, at most ${LIMITS.whereCharacters} are read`);
}

/** Never empty: the last one is the end. */
export function tokensOf(text: string): readonly Token[] {
  refuseTooLong(text);
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (SPACE.test(text.charAt(at))) at++;
    else at = take(text, at, tokens);
  }
  tokens.push({ kind: 'end', column: text.length + 1 });
  return tokens;
}

/** Adds the token at `at`, gives where the next may begin. */
function take(text: string, at: number, tokens: Token[]): number {
  const column = at + 1;
  const character = text.charAt(at);
  if (character === '"' || character === "'") return takeQuoted(text, at, tokens);
  const isValue = expectsValue(tokens);
  const mark = MARKS.find((candidate) => text.startsWith(candidate, at));
  const operator = isValue ? undefined : OPERATOR_TEXTS.find(([candidate]) => text.startsWith(candidate, at));
  if (operator !== undefined) {
    tokens.push({ kind: 'operator', operator: operator[1], column });
    return at + operator[0].length;
  }
  if (mark !== undefined && !(isValue && !/[()[\],]/.test(mark))) {
    tokens.push({ kind: 'mark', text: mark, column });
    return at + mark.length;
  }
  const end = endOf(text, at, isValue ? END_OF_VALUE : END_OF_WORD);
  if (end === at) throw errorAt(text, column, `${character} means nothing here`);
  tokens.push({ kind: 'word', text: text.slice(at, end), column });
  return end;
}

/** After an operator, and in the brackets of a list. */
function expectsValue(tokens: readonly Token[]): boolean {
  const last = tokens.at(-1);
  if (last === undefined) return false;
  if (last.kind === 'operator') return true;
  if (last.kind !== 'mark' || (last.text !== '(' && last.text !== '[' && last.text !== ',')) return false;
  if (last.text !== '(') return true;
  const before = tokens.at(-2);
  return before?.kind === 'operator' || (before?.kind === 'word' && before.text.toLowerCase() === 'in');
}

function endOf(text: string, at: number, stop: RegExp): number {
  let end = at;
  while (end < text.length && !stop.test(text.charAt(end))) end++;
  return end;
}

function takeQuoted(text: string, at: number, tokens: Token[]): number {
  const quote = text.charAt(at);
  let value = '';
  for (let here = at + 1; here < text.length; here++) {
    const character = text.charAt(here);
    if (character === quote) {
      tokens.push({ kind: 'quoted', text: value, column: at + 1 });
      return here + 1;
    }
    if (character !== '\\') {
      value += character;
      continue;
    }
    here++;
    const escaped = ESCAPES[text.charAt(here)];
    if (escaped === undefined) throw errorAt(text, here, `\\${text.charAt(here)} is no escape: \\n \\r \\t \\\\ \\" and \\' are`);
    value += escaped;
  }
  throw errorAt(text, at + 1, `the text that begins here has no closing ${quote}`);
}
