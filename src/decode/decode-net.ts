/** Records of sockets: beginnings and ends, DNS, TLS greetings, plaintext HTTP. */
import type { Direction, Endpoint, Event, NetChunk, NetData, NetEvent, NetSocket, SocketAddress } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { type Spoken, spokenIn } from '../spoken.ts';
import type { BootClock } from '../time.ts';
import { createAddressNames } from './address-names.ts';
import { parseClientHello } from './client-hello.ts';
import { type DnsMessage, parseDns } from './dns.ts';
import { readEndpoint } from './endpoint.ts';
import { errnoName } from './errno.ts';
import type { Greetings } from './greetings.ts';
import { DIRECTION, HEADER, NET_CONTENT, NET_DATA, NET_EVENT, NET_PROTOCOL, NET_SOCKET, RECORD_FLAG, RECORD_KIND, SIZE, UNIX_NAME_BYTES } from './layout.ts';
import type { RecordView } from './record.ts';
import { readReset } from './reset.ts';
import { assemble, createSocketTable } from './socket-table.ts';

const COUNTERS = ['sockets_forgotten', 'names_forgotten', 'dns_unread', 'dns_incomplete', 'hello_unread'] as const;
type NetCounter = (typeof COUNTERS)[number];

export interface NetDecoder {
  /** Adds what the record tells. False when it makes no sense. */
  decode(record: RecordView, events: Event[]): boolean;
  counters(): Readonly<Record<NetCounter, number>>;
}

const DNS_PORT = 53;
const PREFIX_BYTES = 8;
const NS_PER_MS = 1e6;
const HELLO_HEADER_BYTES = 5;
/** The kernel decides by the first eight bytes of a direction: more fragments than these cannot be. */
const MAX_UNDECIDED = 16;

const EVENTS: Readonly<Record<number, NetSocket['event']>> = {
  [NET_EVENT.NET_CONNECT]: 'CONNECT',
  [NET_EVENT.NET_ACCEPT]: 'ACCEPT',
  [NET_EVENT.NET_BIND]: 'BIND',
  [NET_EVENT.NET_LISTEN]: 'LISTEN',
  [NET_EVENT.NET_CLOSE]: 'CLOSE',
  [NET_EVENT.NET_KTLS]: 'KTLS',
};

const PROTOCOLS: Readonly<Record<number, NetSocket['protocol']>> = {
  [NET_PROTOCOL.NET_OTHER]: 'other',
  [NET_PROTOCOL.NET_TCP]: 'tcp',
  [NET_PROTOCOL.NET_UDP]: 'udp',
  [NET_PROTOCOL.NET_UNIX]: 'unix',
};

/** A net_data record as it was read. */
interface Bytes {
  readonly number: bigint;
  readonly endpoint: Endpoint;
  readonly chunk: NetChunk;
  readonly content: number;
  readonly isStream: boolean;
}

interface Prefix {
  readonly number: bigint;
  readonly endpoint: Endpoint;
  readonly speaks: Spoken | null;
}

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
  readonly greetings: Greetings;
}

export function createNetDecoder({ clock, identity, greetings }: Context): NetDecoder {
  const counters = new Counters<NetCounter>(COUNTERS);
  const names = createAddressNames(LIMITS.addressNames, () => counters.add('names_forgotten'));
  const sockets = createSocketTable(() => counters.add('sockets_forgotten'));

  function decode(record: RecordView, events: Event[]): boolean {
    const kind = record.view.getUint16(record.offset + HEADER.kind, true);
    const tell = (data: NetData): void => void events.push(eventOf(record, data));
    if (kind === RECORD_KIND.RECORD_NET_SOCKET) return decodeSocket(record, tell);
    const bytes = readBytes(record);
    if (bytes === null) return false;
    switch (bytes.content) {
      case NET_CONTENT.CONTENT_UNDECIDED:
        keepUndecided(bytes);
        return true;
      case NET_CONTENT.CONTENT_HTTP:
        for (const earlier of sockets.takeUndecided(bytes.number)) tell(earlier);
        tell(bytes.chunk);
        return true;
      case NET_CONTENT.CONTENT_HELLO:
        decodeHello(bytes, tell);
        return true;
      case NET_CONTENT.CONTENT_DNS:
        decodeDns(bytes, tell);
        return true;
      case NET_CONTENT.CONTENT_TLS:
        sockets.takeUndecided(bytes.number);
        tell({ event: 'HELLO', endpoint: bytes.endpoint, role: null, existing: true, server_name: null, alpn: [], version: null });
        return true;
      default:
        return false;
    }
  }

  function keepUndecided({ number, chunk }: Bytes): void {
    const { undecided } = sockets.memory(number);
    // A view would keep its whole batch alive.
    if (undecided.length < MAX_UNDECIDED) undecided.push({ ...chunk, payload: Buffer.from(chunk.payload) });
  }

  function eventOf({ view, offset, process }: RecordView, data: NetData): NetEvent {
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
      source: 'net', pid: process.pid, comm: process.comm, data, id: identity.nextId(), process: process.key, session: process.session,
    };
  }

  function decodeSocket(record: RecordView, tell: (data: NetData) => void): boolean {
    const { view, offset } = record;
    const number = view.getBigUint64(offset + NET_SOCKET.connection, true);
    const event = EVENTS[view.getUint8(offset + NET_SOCKET.event)];
    const protocol = PROTOCOLS[view.getUint8(offset + NET_SOCKET.protocol)];
    const isPrefix = view.getUint8(offset + NET_SOCKET.event) === NET_EVENT.NET_PREFIX;
    const isEnd = event === 'CLOSE';
    const remembered = isEnd || isPrefix ? sockets.known(number)?.endpoint : null;
    const endpoint = remembered ?? withUnixNames(record, readEndpoint(view, offset + NET_SOCKET.endpoint));
    if (protocol === undefined || endpoint === null) return false;
    const speaks = isEnd || isPrefix ? spokenOf(record, protocol) : null;
    if (isPrefix) {
      tellProtocol({ number, endpoint, speaks }, tell);
      return true;
    }
    if (event === undefined) return false;
    const reset = readReset(view, offset + NET_SOCKET.reset);
    const error = errnoName(-view.getUint32(offset + NET_SOCKET.error, true));
    if (isEnd) {
      sockets.forget(number);
      greetings.closed(endpoint.socket);
      if (view.getUint8(offset + NET_SOCKET.content) === NET_CONTENT.CONTENT_HTTP) tell({ event: 'END', connection: connectionName(number), ...reset });
    } else if (protocol === 'unix' && error === null) {
      sockets.memory(number).endpoint = endpoint;
    }
    const fd = view.getInt32(offset + NET_SOCKET.fd, true);
    tell({
      event, protocol,
      fd: fd < 0 ? null : fd,
      connection: connectionName(number),
      endpoint,
      host: names.nameOf(endpoint.remote.address),
      error,
      duration_ms: isEnd || event === 'CONNECT' ? Number(view.getBigUint64(offset + NET_SOCKET.duration_ns, true)) / NS_PER_MS : null,
      read_bytes: isEnd ? Number(view.getBigUint64(offset + NET_SOCKET.read_bytes, true)) : null,
      written_bytes: isEnd ? Number(view.getBigUint64(offset + NET_SOCKET.written_bytes, true)) : null,
      existing: view.getUint8(offset + NET_SOCKET.existing) === 1,
      speaks,
      ...reset,
    });
    return true;
  }

  /** Both sides send their first bytes: once is enough. */
  function tellProtocol({ number, endpoint, speaks }: Prefix, tell: (data: NetData) => void): void {
    const memory = speaks === null ? null : sockets.memory(number);
    if (speaks === null || memory === null || memory.isNamed) return;
    memory.isNamed = true;
    tell({ event: 'PROTOCOL', connection: connectionName(number), endpoint, tls: false, speaks });
  }

  function readBytes({ batch, view, offset, size }: RecordView): Bytes | null {
    const len = view.getUint32(offset + NET_DATA.len, true);
    const direction = directionOf(view.getUint8(offset + NET_DATA.direction));
    const number = view.getBigUint64(offset + NET_DATA.connection, true);
    const endpoint = sockets.known(number)?.endpoint ?? readEndpoint(view, offset + NET_DATA.endpoint);
    if (SIZE.net_data + len > size || direction === null || endpoint === null) return null;
    const flags = view.getUint16(offset + HEADER.flags, true);
    const start = offset + SIZE.net_data;
    const partOffset = view.getUint32(offset + NET_DATA.offset, true);
    const total = view.getUint32(offset + NET_DATA.total, true);
    return {
      number,
      endpoint,
      chunk: {
        event: 'DATA',
        connection: connectionName(number),
        position: Number(view.getBigUint64(offset + NET_DATA.position, true)) + partOffset,
        endpoint,
        direction, len, total,
        offset: partOffset,
        payload: batch.subarray(start, start + len),
        // From a file to the socket within the kernel: no program had these bytes in its memory.
        ...(len === 0 ? { withheld: total } : {}),
        truncated: (flags & RECORD_FLAG.RECORD_TRUNCATED) !== 0,
        fault: (flags & RECORD_FLAG.RECORD_READ_FAULT) !== 0,
        tid: view.getUint32(offset + HEADER.tid, true),
      },
      content: view.getUint8(offset + NET_DATA.content),
      isStream: view.getUint8(offset + NET_DATA.protocol) !== NET_PROTOCOL.NET_UDP,
    };
  }

  /** A greeting may come in pieces: its header alone, or as the segments of the wire. */
  function decodeHello({ number, chunk, endpoint }: Bytes, tell: (data: NetData) => void): void {
    const assembly = sockets.memory(number).assembly[chunk.direction];
    for (const part of [...sockets.takeUndecided(number), chunk]) if (part.direction === chunk.direction) assemble(assembly, part);
    const { bytes } = assembly;
    const whole = bytes.length < HELLO_HEADER_BYTES ? LIMITS.helloBytes : Math.min(HELLO_HEADER_BYTES + bytes.readUInt16BE(3), LIMITS.helloBytes);
    if (bytes.length < whole) return;
    sockets.forget(number);
    const hello = parseClientHello(bytes.subarray(0, whole));
    if (hello === null) {
      counters.add('hello_unread');
      return;
    }
    const role = chunk.direction === 'write' ? 'client' : 'server';
    if (hello.serverName !== null && role === 'client') names.greeted(endpoint.remote.address, hello.serverName);
    greetings.heard(endpoint.socket, hello);
    tell({ event: 'HELLO', endpoint, role, existing: false, server_name: hello.serverName, alpn: hello.alpn, version: hello.version });
  }

  function decodeDns({ number, chunk, endpoint, isStream }: Bytes, tell: (data: NetData) => void): void {
    if (!isStream && chunk.len === chunk.total) {
      tellDns(bufferOf(chunk.payload), endpoint, tell);
      return;
    }
    const assembly = sockets.memory(number).assembly[chunk.direction];
    if (!assemble(assembly, chunk)) counters.add('dns_unread');
    // Over TCP each message begins with its length; a datagram in parts is whole when its last part came.
    for (let end = endOf(assembly.bytes, chunk, isStream); end !== null; end = endOf(assembly.bytes, chunk, isStream)) {
      tellDns(assembly.bytes.subarray(isStream ? 2 : 0, end), endpoint, tell);
      assembly.bytes = assembly.bytes.subarray(end);
    }
  }

  function tellDns(payload: Buffer, endpoint: Endpoint, tell: (data: NetData) => void): void {
    const message = parseDns(payload);
    if (message === null) {
      counters.add('dns_unread');
      return;
    }
    if (message.truncated) counters.add('dns_incomplete');
    learnNames(message);
    const { kind, name, type, code, answers } = message;
    tell({ event: 'DNS', kind, name, type, code, answers, server: serverOf(endpoint) });
  }

  /** The address belongs to the name that was asked for, whatever aliases lie between. */
  function learnNames({ name, answers }: DnsMessage): void {
    for (const { type, value } of answers) if (type === 'A' || type === 'AAAA') names.answered(value, name);
  }

  function connectionName(number: bigint): string {
    return `${identity.prefix}.c${number}`;
  }

  return { decode, counters: () => counters.snapshot() };
}

/** What the kernel could tell, or what the first bytes say. */
function spokenOf({ batch, view, offset }: RecordView, protocol: NetSocket['protocol']): Spoken | null {
  switch (view.getUint8(offset + NET_SOCKET.content)) {
    case NET_CONTENT.CONTENT_HTTP: return 'http';
    case NET_CONTENT.CONTENT_HELLO:
    case NET_CONTENT.CONTENT_TLS: return 'tls';
    case NET_CONTENT.CONTENT_DNS: return 'dns';
    default: break;
  }
  // What an older connection was in the middle of is no beginning.
  if (view.getUint8(offset + NET_SOCKET.existing) === 1) return null;
  const side = (direction: number): Uint8Array => {
    const start = offset + NET_SOCKET.prefix + direction * PREFIX_BYTES;
    return batch.subarray(start, start + Math.min(view.getUint8(offset + NET_SOCKET.prefix_len + direction), PREFIX_BYTES));
  };
  return spokenIn({ read: side(DIRECTION.IO_READ), write: side(DIRECTION.IO_WRITE), isDatagram: protocol === 'udp' });
}

function directionOf(value: number): Direction | null {
  if (value === DIRECTION.IO_READ) return 'read';
  return value === DIRECTION.IO_WRITE ? 'write' : null;
}

function bufferOf(payload: Uint8Array): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** Where the first message in `bytes` ends; null while it is not whole. */
function endOf(bytes: Buffer, { offset, len, total }: NetChunk, isStream: boolean): number | null {
  if (!isStream) return bytes.length > 0 && offset + len === total ? bytes.length : null;
  if (bytes.length < 2) return null;
  const end = 2 + bytes.readUInt16BE(0);
  return bytes.length < end ? null : end;
}

function serverOf({ local, remote }: Endpoint): SocketAddress {
  return local.port === DNS_PORT && remote.port !== DNS_PORT ? local : remote;
}

function withUnixNames({ batch, view, offset, size }: RecordView, endpoint: Endpoint | null): Endpoint | null {
  if (endpoint?.family !== 'unix' || size < SIZE.net_socket + 2 * UNIX_NAME_BYTES) return endpoint;
  const nameAt = (index: number, lengthAt: number): SocketAddress => {
    const start = offset + SIZE.net_socket + index * UNIX_NAME_BYTES;
    const length = Math.min(view.getUint16(offset + lengthAt, true), UNIX_NAME_BYTES);
    return { address: unixName(batch.subarray(start, start + length)), port: null };
  };
  return { ...endpoint, local: nameAt(0, NET_SOCKET.local_len), remote: nameAt(1, NET_SOCKET.remote_len) };
}

/** A path, or `@name` of the abstract kind, whose further NUL bytes count: shown as @, as ss does. */
function unixName(bytes: Buffer): string {
  if (bytes[0] === 0) return bytes.toString('utf8').replaceAll('\0', '@');
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}
