/** Signal numbers to the names that `kill -l` prints. */
import { constants } from 'node:os';

/** glibc keeps 32 and 33 for itself; real-time signals end at 64. */
const REALTIME_FIRST = 34;
const REALTIME_LAST = 64;

/** Some numbers have two names (SIGIOT, SIGPOLL): of those the first is meant, so it is put in last. */
const names: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals).reverse().map(([name, number]) => [number, name]),
);

export function signalName(number: number): string {
  const name = names.get(number);
  if (name !== undefined) return name;
  if (number === REALTIME_FIRST) return 'SIGRTMIN';
  if (number > REALTIME_FIRST && number <= REALTIME_LAST) return `SIGRTMIN+${number - REALTIME_FIRST}`;
  return `SIG${number}`;
}
