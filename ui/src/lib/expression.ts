/**
 * Expressions in the filter field: what `--where` takes, told from plain words
 * by an operator outside of quotes. Read here only to say what is wrong with
 * one while it is typed; the hub, which has the events whole, says what fits.
 */
import { parseWhere } from '../../../analyzers/where/parse.ts';
import { WhereError } from '../../../analyzers/where/tokens.ts';

export interface Problem {
  readonly message: string;
  /** From 1; null where it is the whole that is refused. */
  readonly column: number | null;
}

const QUOTED = /"[^"]*"?|'[^']*'?/g;

export function isExpression(text: string): boolean {
  return /[=<>~]/.test(text.replaceAll(QUOTED, ''));
}

/** null: it can be read. */
export function problemOf(text: string): Problem | null {
  try {
    parseWhere(text);
    return null;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { message: message.replace(/^could not read the filter( at column \d+)?: /, ''), column: error instanceof WhereError ? error.column : null };
  }
}
