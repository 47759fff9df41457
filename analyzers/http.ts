/**
 * The operator that finds HTTP in plaintext, of TLS and of bare sockets: passes every event on, and adds
 * one `http` event for each exchange when it is complete, one `sse` event
 * for each event of a stream and one `websocket` event for each message when it arrives. What it does with bytes is in
 * `http/`; this file only ties it to a subscription.
 */
import { Observable, type OperatorFunction, type Subscription, interval } from 'rxjs';
import type { Event } from '../src/event.ts';
import { fromMilliseconds } from '../src/time.ts';
import { type Connections, createConnections } from './http/connections.ts';
import { type HttpOptions, createEnvironment } from './http/options.ts';

export { HTTP_COUNTERS, type HttpCounter, type HttpLimits, type HttpOptions, createHttpCounters } from './http/options.ts';
export type { LocateSecrets, Range } from './http/mask.ts';

/** State lives as long as the subscription: flushed when the events end, freed when it is left. */
export function http(options: HttpOptions): OperatorFunction<Event, Event> {
  return (source) => new Observable<Event>((subscriber) => {
    const environment = createEnvironment(options, (event) => subscriber.next(event));
    const connections = createConnections(environment);
    const timer = sweepIdle(options, environment.limits.connectionIdleMs, connections);
    subscriber.add(() => {
      timer?.unsubscribe();
      connections.close();
    });
    subscriber.add(source.subscribe({
      next: (event) => connections.accept(event),
      error: (cause: unknown) => {
        // What was seen before the source failed is no less true.
        connections.end('capture ended');
        subscriber.error(cause);
      },
      complete: () => {
        connections.end('capture ended');
        subscriber.complete();
      },
    }));
  });
}

/** Events tell the time; this tells it when none come. The scheduler's clock is epoch milliseconds, like theirs. */
function sweepIdle({ scheduler }: HttpOptions, idleMs: number, connections: Connections): Subscription | undefined {
  if (scheduler === undefined) return undefined;
  return interval(Math.max(1, idleMs / 10), scheduler)
    .subscribe(() => connections.sweep(fromMilliseconds(scheduler.now())));
}
