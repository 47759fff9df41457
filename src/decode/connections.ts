/** What is known of TLS connections between their records: a name, and where they go. */
import type { Endpoint } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import type { Greeting } from './greetings.ts';

export interface KnownConnection {
  /** `<host>.<boot>.<collector>.c<number>`: unique over all runs, so that a store may join on it. */
  readonly name: string;
  /** One object as long as it does not change: who writes it out need not compare its fields. */
  endpoint: Endpoint | null;
  /** What was asked for on its socket; null while that is not known. */
  greeting: Greeting | null;
}

export interface Connections {
  /** By the number at `at`. */
  of(view: DataView, at: number): KnownConnection;
  /** Its name, for the last time. */
  forget(view: DataView, at: number): string;
  counters(): Readonly<Record<string, number>>;
}

interface State extends KnownConnection {
  readonly high: number;
}

export function createConnections(identity: Identity): Connections {
  const known = new Map<number, State>();
  const counters = new Counters(['forgotten_connections']);

  function of(view: DataView, at: number): KnownConnection {
    const high = view.getUint32(at + 4, true);
    const key = keyOf(high, view.getUint32(at, true));
    const present = known.get(key);
    if (present !== undefined && present.high === high) return present;
    const state = { high, name: `${identity.prefix}.c${view.getBigUint64(at, true)}`, endpoint: null, greeting: null };
    if (known.size >= LIMITS.connectionNames) forgetOldest();
    known.set(key, state);
    return state;
  }

  function forgetOldest(): void {
    const oldest = known.keys().next();
    if (oldest.done !== true) known.delete(oldest.value);
    counters.add('forgotten_connections');
  }

  function forget(view: DataView, at: number): string {
    const { name } = of(view, at);
    known.delete(keyOf(view.getUint32(at + 4, true), view.getUint32(at, true)));
    return name;
  }

  return { of, forget, counters: () => counters.snapshot() };
}

/** A connection's number is its cpu << 48 and a count: exact as a double while a cpu has counted less than 2^32. */
function keyOf(high: number, low: number): number {
  return (high >>> 16) * 0x1_0000_0000 + low;
}
