/**
 * Puts the two directions of a rustls connection together. Its ciphers are
 * hooked, and each traffic key is a connection of its own to the kernel side:
 * one carries what is read, another what is written, and a key update begins a third.
 * They run over one socket of one process, and are shown as one connection,
 * under the name of the first of them, with one count of bytes per direction.
 *
 * What is written is encrypted before it is sent, so that its socket is known
 * a moment later: until then it is held. What waits too long or is too much
 * goes on under the name of its key, counted, and keeps that name.
 */
import type { Direction, Event, TlsChunk, TlsClose, TlsEndpoint, TlsEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';

export interface SocketJoiner {
  /** Appends to `out` what is ready: the event, renamed or as it is, and what it sets free. */
  take(event: TlsEvent, out: Event[]): void;
  /** What still waits, at the end of a capture. */
  flush(): Event[];
  counters(): Readonly<Record<string, number>>;
}

type Chunk = TlsEvent & { readonly data: TlsChunk };

interface Joined {
  readonly name: string;
  readonly socket: string | null;
  /** What its socket told of it; null without one. */
  readonly place: Pick<TlsEndpoint, 'endpoint' | 'server_name'> | null;
  /** Bytes so far. */
  readonly end: Record<Direction, number>;
  readonly keys: Set<string>;
  closed: boolean;
}

interface Key {
  readonly name: string;
  /** Bytes so far, by its own count. */
  readonly end: Record<Direction, number>;
  /** null while its socket is not known. */
  joined: Joined | null;
  /** From its own count to that of the connection. */
  shift: Record<Direction, number>;
  held: Chunk[];
}

export function createSocketJoiner(): SocketJoiner {
  const keys = new Map<string, Key>();
  /** By process and socket. */
  const sockets = new Map<string, Joined>();
  /** Keys with something held, the longest waiting first. */
  const waiting = new Set<Key>();
  let heldBytes = 0;
  const counters = new Counters(['joined', 'unjoined', 'forgotten_keys']);

  function take(event: TlsEvent, out: Event[]): void {
    const { data } = event;
    releaseOverdue(event.timestamp, out);
    if (data.event === 'DATA' && data.library === 'rustls') takeChunk(event as Chunk, out);
    else if (data.event === 'ENDPOINT' && data.library === 'rustls') bind(event, data, out);
    else if (data.event === 'CLOSE' && keys.has(data.connection)) close(event, data, out);
    else out.push(event);
  }

  function takeChunk(event: Chunk, out: Event[]): void {
    const key = keyOf(event.data.connection, out);
    if (key.joined !== null) {
      out.push(renamed(event, key, key.joined));
      return;
    }
    key.held.push(event);
    heldBytes += event.data.len;
    waiting.add(key);
    for (const oldest of waiting) {
      if (heldBytes <= LIMITS.joinHeldBytes) break;
      leaveAlone(oldest, out);
    }
  }

  function keyOf(name: string, out: Event[]): Key {
    const known = keys.get(name);
    if (known !== undefined) return known;
    if (keys.size >= LIMITS.connectionNames) forgetOldest(out);
    const key: Key = { name, end: { read: 0, write: 0 }, joined: null, shift: { read: 0, write: 0 }, held: [] };
    keys.set(name, key);
    return key;
  }

  function forgetOldest(out: Event[]): void {
    for (const oldest of keys.values()) {
      release(oldest, out);
      drop(oldest);
      counters.add('forgotten_keys');
      return;
    }
  }

  function bind(event: TlsEvent, data: TlsEndpoint, out: Event[]): void {
    const key = keyOf(data.connection, out);
    const socket = `${event.process}/${data.endpoint.socket}`;
    // One that was left alone has been shown under its own name already.
    if (key.joined !== null && key.joined.socket === null) {
      out.push(event);
      return;
    }
    if (key.joined?.socket === socket) return;
    key.joined?.keys.delete(key.name);
    const present = sockets.get(socket);
    const joined = present ?? createJoined(key, socket, data);
    joined.keys.add(key.name);
    key.joined = joined;
    key.shift = { read: joined.end.read - key.end.read, write: joined.end.write - key.end.write };
    if (present === undefined) {
      sockets.set(socket, joined);
      out.push(event);
    } else {
      counters.add('joined');
    }
    release(key, out);
  }

  function close(event: TlsEvent, data: TlsClose, out: Event[]): void {
    const key = keys.get(data.connection) as Key;
    const joined = key.joined ?? leaveAlone(key, out);
    drop(key);
    // The writing side may end first, and the answer still come.
    if (joined.closed || (joined.keys.size > 0 && key.end.read === 0)) return;
    joined.closed = true;
    if (joined.socket !== null) sockets.delete(joined.socket);
    out.push({ ...event, data: { ...data, connection: joined.name } });
  }

  function drop(key: Key): void {
    keys.delete(key.name);
    const { joined } = key;
    if (joined === null) return;
    joined.keys.delete(key.name);
    if (joined.socket !== null && joined.keys.size === 0 && sockets.get(joined.socket) === joined) sockets.delete(joined.socket);
  }

  function releaseOverdue(nowNs: bigint, out: Event[]): void {
    for (const key of waiting) {
      const since = key.held[0]?.timestamp ?? nowNs;
      if (nowNs - since < BigInt(LIMITS.joinHeldMs) * 1_000_000n) return;
      leaveAlone(key, out);
    }
  }

  /** Shown under its own name from now on. */
  function leaveAlone(key: Key, out: Event[]): Joined {
    const alone = createJoined(key, null, null);
    key.joined = alone;
    counters.add('unjoined');
    release(key, out);
    return alone;
  }

  function release(key: Key, out: Event[]): void {
    waiting.delete(key);
    for (const event of key.held) {
      heldBytes -= event.data.len;
      out.push(key.joined === null ? event : renamed(event, key, key.joined));
    }
    key.held = [];
  }

  function flush(): Event[] {
    const out: Event[] = [];
    for (const key of waiting) leaveAlone(key, out);
    return out;
  }

  return { take, flush, counters: () => ({ ...counters.snapshot(), held_bytes: heldBytes }) };
}

function createJoined({ name }: Key, socket: string | null, place: Joined['place']): Joined {
  return { name, socket, place, end: { read: 0, write: 0 }, keys: new Set([name]), closed: false };
}

function renamed(event: Chunk, key: Key, joined: Joined): Chunk {
  const { data } = event;
  const { direction } = data;
  const position = data.position + key.shift[direction];
  // To the end of its call, of which the rest may be cut or still to come.
  const callEnd = data.position - data.offset + data.total;
  key.end[direction] = Math.max(key.end[direction], callEnd);
  joined.end[direction] = Math.max(joined.end[direction], callEnd + key.shift[direction]);
  const { endpoint = null, server_name = null } = joined.place ?? {};
  return { ...event, data: { ...data, connection: joined.name, position, endpoint, server_name } };
}
