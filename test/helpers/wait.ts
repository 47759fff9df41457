/** Waits for a condition with a deadline: what tests use instead of sleeping. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
/** Reached only by what never comes: a machine with ten programs on two processors is slow, not wrong. */
const DEFAULT_DEADLINE_MS = 60_000;

/** Resolves with the first value that is neither undefined nor false. */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs: number = DEFAULT_DEADLINE_MS,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await delay(POLL_MS);
  }
}
