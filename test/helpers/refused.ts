/** Filters that are refused. */
import { AgentsightError } from '../../src/errors.ts';

/** What is said of it; throws where nothing was refused. */
export function refused(act: () => unknown): { readonly message: string; readonly hint: string | undefined } {
  try {
    act();
  } catch (error) {
    if (error instanceof AgentsightError && error.code === 'USAGE') return { message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('nothing was refused');
}
