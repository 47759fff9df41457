/** One thing that was looked at, and what it means for a trace. */

/**
 * `ok`: works. `missing`: tracing fails or sees less without it. `note`: worth
 * knowing, harms nothing.
 */
export type CheckStatus = 'ok' | 'missing' | 'note';

/** Exit codes of `doctor`, as in the error registry: privilege, kernel, target; 0 where tracing goes on without it. */
export type CheckExit = 0 | 3 | 4 | 5;

export interface Check {
  readonly name: string;
  readonly status: CheckStatus;
  /** What was found. */
  readonly text: string;
  /** The command, or the one step, that mends it. */
  readonly fix: string | null;
  readonly exit: CheckExit;
}

export function ok(name: string, text: string): Check {
  return { name, status: 'ok', text, fix: null, exit: 0 };
}

export function note(name: string, text: string, fix: string | null = null): Check {
  return { name, status: 'note', text, fix, exit: 0 };
}

export interface Missing {
  readonly fix: string | null;
  readonly exit: CheckExit;
}

export function missing(name: string, text: string, { fix, exit }: Missing): Check {
  return { name, status: 'missing', text, fix, exit };
}
