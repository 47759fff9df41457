/** What of the stream reaches the sinks. */
import { filter, type MonoTypeOperatorFunction } from 'rxjs';
import type { BodyData, Endpoint, Event, Source } from '../src/event.ts';

export interface SelectOptions {
  /** Sources that are wanted; events about ourselves always pass. */
  readonly sources: readonly Source[];
  /** Let chunks of plaintext pass, of `tls` and of `net`: they are what `http` and `sse` were made of, and bulky. */
  readonly raw: boolean;
  /**
   * Ports of which traffic is wanted, at either end; none: all of it. The kernel has left out what it could:
   * here goes what passed before it knew the socket. What has no known endpoint passes.
   */
  readonly ports?: readonly number[];
}

/** Without them a reader could not tell "nothing happened" from "nothing was seen". */
export const ABOUT_US: ReadonlySet<Source> = new Set(['probe', 'loss', 'log'] as const);

export function select({ sources, raw, ports = [] }: SelectOptions): MonoTypeOperatorFunction<Event> {
  const wanted = new Set<Source>([...sources, ...ABOUT_US]);
  if (!raw) wanted.delete('tls');
  // They are the rest of exchanges, or of messages.
  const isRestOfWanted = ({ index }: BodyData): boolean => wanted.has(index === undefined ? 'http' : 'websocket');
  const isOfPort = ({ data }: Event): boolean => {
    if (ports.length === 0 || !('endpoint' in data) || data.endpoint === null) return true;
    const { local, remote }: Endpoint = data.endpoint;
    return ports.some((port) => port === local.port || port === remote.port);
  };
  return filter((event) => (event.source === 'body' ? isRestOfWanted(event.data) : wanted.has(event.source)) && (raw || !isPlaintext(event)) && isOfPort(event));
}

function isPlaintext({ source, data }: Event): boolean {
  return source === 'net' && (data.event === 'DATA' || data.event === 'END');
}
