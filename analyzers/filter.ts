/** What of the stream reaches the sinks. */
import { filter, type MonoTypeOperatorFunction } from 'rxjs';
import type { Event, Source } from '../src/event.ts';

export interface SelectOptions {
  /** Sources that are wanted; events about ourselves always pass. */
  readonly sources: readonly Source[];
  /** Let `tls` chunks pass: they are what `http` and `sse` were made of, and bulky. */
  readonly raw: boolean;
}

/** Without them a reader could not tell "nothing happened" from "nothing was seen". */
const ABOUT_US: readonly Source[] = ['probe', 'loss', 'log'];

export function select({ sources, raw }: SelectOptions): MonoTypeOperatorFunction<Event> {
  const wanted = new Set<Source>([...sources, ...ABOUT_US]);
  if (!raw) wanted.delete('tls');
  return filter((event) => wanted.has(event.source));
}
