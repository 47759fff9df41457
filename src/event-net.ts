/** What `net` events say: sockets, DNS, TLS greetings and plaintext of traced processes. */
import type { ChunkData, Direction } from './event.ts';
import type { Errno } from './event-file.ts';
import type { Spoken } from './spoken.ts';

/** One end of a socket. `unix` addresses are a path, `@name` or empty, and have no port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number | null;
}

/** Which socket a connection runs over. */
export interface Endpoint {
  readonly family: 'ipv4' | 'ipv6' | 'unix';
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** Inode number of the socket, as in `socket:[123]`: joins `tls`, `net`, `http` and `stdio` events. */
  readonly socket: string;
}

/** A connection of TCP was reset instead of closed. */
export interface ConnectionReset {
  /** `program`: the traced one closed it so, or closed it with bytes unread. */
  readonly by: 'peer' | 'program';
  /** Directions that had not come to their end before: bytes may be missing there. */
  readonly unfinished: readonly Direction[];
}

/** Of an end: present only where the connection was reset. */
export interface Resettable {
  readonly reset?: ConnectionReset;
}

/**
 * A socket of a traced process begins, listens or ends. `KTLS`: from now on the
 * kernel itself encrypts what passes it, when that did not fail.
 */
export interface NetSocket extends Resettable {
  readonly event: 'CONNECT' | 'ACCEPT' | 'BIND' | 'LISTEN' | 'CLOSE' | 'KTLS';
  readonly protocol: 'tcp' | 'udp' | 'unix' | 'other';
  /** The descriptor that it was last used by; null where the kernel did not tell. */
  readonly fd: number | null;
  /** As in the DATA and END events of this socket. */
  readonly connection: string;
  readonly endpoint: Endpoint;
  /** Name of the remote address, from DNS answers and TLS server names seen before. */
  readonly host: string | null;
  readonly error: Errno;
  /** CONNECT: until it was established or failed. CLOSE: since it began. */
  readonly duration_ms: number | null;
  /** CLOSE: payload bytes. */
  readonly read_bytes: number | null;
  readonly written_bytes: number | null;
  /** It was there before the trace began: bytes and duration are since it was first seen in use. */
  readonly existing: boolean;
  /** CLOSE: what it spoke, by its first bytes; null where that is none we know, or they were not seen. */
  readonly speaks: Spoken | null;
}

/** What a connection speaks was told, by its first bytes: something that is not parsed. */
export interface NetProtocol {
  readonly event: 'PROTOCOL';
  readonly connection: string;
  /** null of a TLS connection whose socket is not known yet. */
  readonly endpoint: Endpoint | null;
  /** Whether it was found inside TLS. */
  readonly tls: boolean;
  readonly speaks: Spoken;
}

/** One DNS message that passed port 53. */
export interface NetDns {
  readonly event: 'DNS';
  readonly kind: 'query' | 'answer';
  readonly name: string;
  /** `A`, `AAAA`, `HTTPS`, … */
  readonly type: string;
  /** An answer's: `NOERROR`, `NXDOMAIN`, … */
  readonly code: string | null;
  readonly answers: readonly { readonly name: string; readonly type: string; readonly value: string; readonly ttl_s: number }[];
  readonly server: SocketAddress;
}

/** TLS begins on a socket, by whatever library: what its ClientHello asked for. */
export interface NetHello {
  readonly event: 'HELLO';
  readonly endpoint: Endpoint;
  /** Whether the traced process sent the greeting or received it; null where that is not known. */
  readonly role: 'client' | 'server' | null;
  /** It passed before the trace began: its first bytes that were seen are TLS, and nothing else is known. */
  readonly existing: boolean;
  readonly server_name: string | null;
  readonly alpn: readonly string[];
  /** Highest version offered: `1.3`. */
  readonly version: string | null;
}

/** Plaintext bytes of a socket: HTTP that nobody encrypted. */
export interface NetChunk extends ChunkData {
  readonly event: 'DATA';
  readonly connection: string;
  /** Bytes that the socket carried in this direction before `payload`. */
  readonly position: number;
  readonly endpoint: Endpoint;
}

/** The socket of captured plaintext was closed. */
export interface NetEnd extends Resettable {
  readonly event: 'END';
  readonly connection: string;
}

export type NetData = NetSocket | NetProtocol | NetDns | NetHello | NetChunk | NetEnd;
