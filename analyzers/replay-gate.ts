/**
 * The replay rule: where a capture holds the chunks of a connection, its
 * `http`, `sse` and `websocket` events are computed again from them, so the recorded ones are
 * dropped; all others pass. Goes before `http`.
 */
import { type MonoTypeOperatorFunction, filter } from 'rxjs';
import type { Event } from '../src/event.ts';

/** `connectionsWithRaw` is what a first pass over the capture found. */
export function replayGate(connectionsWithRaw: ReadonlySet<string>): MonoTypeOperatorFunction<Event> {
  return filter((event) => !isDerived(event) || !connectionsWithRaw.has(event.data.connection));
}

function isDerived(event: Event): event is Extract<Event, { source: 'http' | 'sse' | 'websocket' }> {
  return event.source === 'http' || event.source === 'sse' || event.source === 'websocket';
}
