/**
 * TLS that one process was seen to speak on its sockets, by whatever library,
 * and how much of it passed a hook: what did not is what we are blind to.
 */
import type { Endpoint, NetHello, TlsEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { Nanoseconds } from '../time.ts';

/** A connection that no hook was passed for. */
export interface Unheard {
  /** `to example.test`, `at port 443`. */
  readonly where: string;
  readonly at: Nanoseconds;
}

export interface Greetings {
  greeted(hello: NetHello, at: Nanoseconds): void;
  /** Of the hooks: which connection goes over which socket, what it carried. */
  heard(event: TlsEvent): void;
  /** The kernel encrypts on this socket: what it is given by sendfile passes no hook. */
  sealed(endpoint: Endpoint): void;
  /** Its number may soon be another one's. */
  closed(socket: string): void;
  /** Each place once, the oldest first. */
  unheard(): readonly Unheard[];
  /** `to 192.0.2.1:443`, where the kernel itself encrypts. */
  readonly inKernel: string | null;
  /** Somebody passed a hook of this process: its library is one that we see. */
  readonly anyHeard: boolean;
  /** Every connection that carried something is known by its socket: one that is not heard is really another one's. */
  readonly allPlaced: boolean;
  /** It passes on greetings that it has received. */
  readonly relays: boolean;
  /** Beyond the limit. */
  readonly forgotten: number;
}

export function createGreetings(): Greetings {
  /** Open sockets: null for one that a hook was passed for. */
  const sockets = new Map<string, Unheard | null>();
  /** By place. */
  const unheard = new Map<string, Unheard>();
  /** Connections with bytes whose socket is not known. */
  const unplaced = new Set<string>();
  const received = new Set<string>();
  let inKernel: string | null = null;
  let anyHeard = false;
  let overflowed = false;
  let relays = false;
  let forgotten = 0;

  function keep(socket: string, state: Unheard | null): void {
    if (!sockets.has(socket) && sockets.size >= LIMITS.tlsGreetings) {
      const oldest = sockets.keys().next();
      if (oldest.done !== true) closed(oldest.value);
      forgotten++;
    }
    sockets.set(socket, state);
  }

  function closed(socket: string): void {
    const state = sockets.get(socket) ?? null;
    sockets.delete(socket);
    if (state === null || unheard.has(state.where)) return;
    if (unheard.size < LIMITS.tlsGreetings) unheard.set(state.where, state);
    else forgotten++;
  }

  function noteRelay({ role, server_name: name }: NetHello): void {
    if (name === null) return;
    if (role === 'client') relays ||= received.has(name);
    else if (received.size < LIMITS.tlsGreetings) received.add(name);
  }

  return {
    greeted(hello, at) {
      noteRelay(hello);
      const { socket } = hello.endpoint;
      // The hook of a library that sends by itself was passed before the greeting was on the socket.
      if (sockets.get(socket) !== null) keep(socket, { where: placeOf(hello), at });
    },
    heard({ data }) {
      if (data.event === 'HANDSHAKE') {
        anyHeard = true;
      } else if (data.event === 'ENDPOINT') {
        anyHeard = true;
        unplaced.delete(data.connection);
        keep(data.endpoint.socket, null);
      } else if (data.event === 'DATA') {
        anyHeard = true;
        if (data.endpoint !== null) unplaced.delete(data.connection);
        else if (unplaced.size < LIMITS.tlsGreetings) unplaced.add(data.connection);
        else overflowed = true;
      }
    },
    sealed: (endpoint) => void (inKernel ??= `to ${remoteOf(endpoint)}`),
    closed,
    get inKernel() { return inKernel; },
    unheard() {
      const open = [...sockets.values()].filter((state) => state !== null);
      return [...new Map([...unheard.values(), ...open].map((one) => [one.where, one])).values()];
    },
    get anyHeard() { return anyHeard; },
    get allPlaced() { return unplaced.size === 0 && !overflowed; },
    get relays() { return relays; },
    get forgotten() { return forgotten; },
  };
}

function placeOf({ role, server_name: name, endpoint }: NetHello): string {
  const { local } = endpoint;
  if (role === 'server') return local.port === null ? `at ${local.address}` : `at port ${local.port}`;
  return `to ${name ?? remoteOf(endpoint)}`;
}

function remoteOf({ remote }: Endpoint): string {
  const address = remote.address.includes(':') ? `[${remote.address}]` : remote.address;
  return remote.port === null ? address : `${address}:${remote.port}`;
}

const PLACES_NAMED = 3;

/** `to a and to b and 4 others`. */
export function placesText(unheard: readonly Unheard[]): string {
  const named = unheard.slice(0, PLACES_NAMED).map(({ where }) => where).join(' and ');
  return unheard.length > PLACES_NAMED ? `${named} and ${unheard.length - PLACES_NAMED} others` : named;
}
