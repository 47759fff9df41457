/**
 * Ctrl-C, SIGTERM and SIGHUP: the first asks for an orderly end (drain, flush,
 * summary), the second leaves at once.
 */
import { constants } from 'node:os';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type EndingSignal = (typeof ENDING)[number];

/** Calls `onFirst` once. Returns what takes the handlers off again. */
export function onEndingSignals(onFirst: (signal: EndingSignal) => void): () => void {
  let asked = false;
  const handle = (signal: EndingSignal): void => {
    if (asked) process.exit(128 + constants.signals[signal]);
    asked = true;
    onFirst(signal);
  };
  for (const signal of ENDING) process.on(signal, handle);
  return () => {
    for (const signal of ENDING) process.off(signal, handle);
  };
}
