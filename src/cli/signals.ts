/**
 * Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly end (drain, flush,
 * summary), the second leaves at once.
 */
import { constants } from 'node:os';

export const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

/**
 * One Ctrl-C may arrive several times: from the terminal, and from each of npm
 * and sudo, which pass theirs on. Nobody decides to press it again this soon.
 */
const SAME_REQUEST_MS = 500;

/**
 * Calls `onFirst` once. A signal that is not for us is left aside: a shell under
 * trace may get many a Ctrl-C. Returns what takes the handlers off again.
 */
export function onEndingSignals(
  onFirst: (signal: EndingSignal) => void,
  isForUs: (signal: EndingSignal) => boolean = () => true,
): () => void {
  let askedAt: number | undefined;
  const handle = (signal: EndingSignal): void => {
    if (!isForUs(signal)) return;
    if (askedAt === undefined) {
      askedAt = performance.now();
      onFirst(signal);
    } else if (performance.now() - askedAt > SAME_REQUEST_MS) {
      process.exit(128 + constants.signals[signal]);
    }
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, handle);
  return () => {
    for (const signal of ENDING_SIGNALS) process.off(signal, handle);
  };
}

/** Ctrl-C on a terminal goes to everybody in the foreground: to a launched command without us. */
export function reachesCommandByItself(signal: EndingSignal): boolean {
  return signal === 'SIGINT' && process.stdin.isTTY;
}
