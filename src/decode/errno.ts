/** Names of errno(3) for the results of system calls. */
import { constants } from 'node:os';
import type { Errno } from '../event.ts';

/** The first of two names of one number is the common one: EAGAIN before EWOULDBLOCK. */
const NAMES = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) if (!NAMES.has(number)) NAMES.set(number, name);

/** null of a call that succeeded; `errno 524` where the C library has no name. */
export function errnoName(result: number): Errno {
  return result >= 0 ? null : NAMES.get(-result) ?? `errno ${-result}`;
}
