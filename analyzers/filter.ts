/** What of the stream reaches the sinks. */
import { filter, type MonoTypeOperatorFunction } from 'rxjs';
import type { Event, Source } from '../src/event.ts';

export interface SelectOptions {
  /** Sources that are wanted; events about ourselves always pass. */
  readonly sources: readonly Source[];
  /** Let chunks of plaintext pass, of `tls` and of `net`: they are what `http` and `sse` were made of, and bulky. */
  readonly raw: boolean;
}

/** Without them a reader could not tell "nothing happened" from "nothing was seen". */
export const ABOUT_US: ReadonlySet<Source> = new Set(['probe', 'loss', 'log'] as const);

export function select({ sources, raw }: SelectOptions): MonoTypeOperatorFunction<Event> {
  const wanted = new Set<Source>([...sources, ...ABOUT_US]);
  if (!raw) wanted.delete('tls');
  return filter((event) => wanted.has(event.source) && (raw || !isPlaintext(event)));
}

function isPlaintext({ source, data }: Event): boolean {
  return source === 'net' && (data.event === 'DATA' || data.event === 'END');
}
