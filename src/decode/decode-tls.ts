/** Records of TLS: plaintext, endpoints, handshakes, ends. The hot path of the program. */
import type { TlsData, TlsEvent } from '../event.ts';
import type { Identity } from '../identity.ts';
import type { BootClock } from '../time.ts';
import { createConnections, type KnownConnection } from './connections.ts';
import { directionOf } from './decode-io.ts';
import { readEndpoint } from './endpoint.ts';
import type { Greeting, Greetings } from './greetings.ts';
import { HEADER, RECORD_FLAG, SIZE, TLS, TLS_CLOSE, TLS_ENDPOINT, TLS_EVIDENCE, TLS_HANDSHAKE } from './layout.ts';
import type { RecordView } from './record.ts';
import { readReset } from './reset.ts';
import { tlsLibraryOf } from './tls-library.ts';

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
  readonly greetings: Greetings;
}

/** Each returns null when the record's own lengths contradict its size or its values are unknown. */
export interface TlsDecoder {
  data(record: RecordView): TlsEvent | null;
  endpoint(record: RecordView): TlsEvent | null;
  handshake(record: RecordView): TlsEvent | null;
  close(record: RecordView): TlsEvent;
  counters(): Readonly<Record<string, number>>;
}

export function createTlsDecoder({ clock, identity, greetings }: Context): TlsDecoder {
  const connections = createConnections(identity);

  function eventOf({ view, offset, process }: RecordView, told: TlsData): TlsEvent {
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
      source: 'tls',
      pid: process.pid,
      comm: process.comm,
      data: told,
      id: identity.nextId(),
      process: process.key,
      session: process.session,
    };
  }

  /** The greeting may pass the socket after the connection was bound to it, so each record asks until it is known. */
  function greetingOf(connection: KnownConnection): Greeting {
    if (connection.greeting === null && connection.endpoint !== null) connection.greeting = greetings.of(connection.endpoint.socket);
    return connection.greeting ?? NOTHING_ASKED;
  }

  function data(record: RecordView): TlsEvent | null {
    const { batch, view, offset, size } = record;
    const len = view.getUint32(offset + TLS.len, true);
    const direction = directionOf(view.getUint8(offset + TLS.direction));
    const library = tlsLibraryOf(view.getUint8(offset + TLS.library));
    if (SIZE.tls_data + len > size || direction === null || library === null) return null;
    const flags = view.getUint16(offset + HEADER.flags, true);
    const start = offset + SIZE.tls_data;
    const partOffset = view.getUint32(offset + TLS.offset, true);
    const callPosition = u64(view, offset + TLS.position);
    const connection = connections.of(view, offset + TLS.connection);
    return eventOf(record, {
      event: 'DATA',
      connection: connection.name,
      direction,
      position: callPosition + partOffset,
      len,
      total: view.getUint32(offset + TLS.total, true),
      offset: partOffset,
      payload: batch.subarray(start, start + len),
      truncated: (flags & RECORD_FLAG.RECORD_TRUNCATED) !== 0,
      fault: (flags & RECORD_FLAG.RECORD_READ_FAULT) !== 0,
      tid: view.getUint32(offset + HEADER.tid, true),
      library,
      endpoint: connection.endpoint,
      server_name: greetingOf(connection).serverName,
    });
  }

  function endpoint(record: RecordView): TlsEvent | null {
    const { view, offset } = record;
    const found = readEndpoint(view, offset + TLS_ENDPOINT.endpoint);
    const evidence = EVIDENCE[view.getUint32(offset + TLS_ENDPOINT.evidence, true)];
    const library = tlsLibraryOf(view.getUint32(offset + TLS_ENDPOINT.library, true));
    if (found === null || evidence === undefined) return null;
    const connection = connections.of(view, offset + TLS_ENDPOINT.connection);
    connection.endpoint = found;
    connection.greeting = null;
    const { serverName } = greetingOf(connection);
    return eventOf(record, { event: 'ENDPOINT', connection: connection.name, endpoint: found, server_name: serverName, evidence, library });
  }

  function handshake(record: RecordView): TlsEvent | null {
    const { view, offset } = record;
    const library = tlsLibraryOf(view.getUint8(offset + TLS_HANDSHAKE.library));
    if (library === null) return null;
    const connection = connections.of(view, offset + TLS_HANDSHAKE.connection);
    const { serverName, alpn } = greetingOf(connection);
    return eventOf(record, {
      event: 'HANDSHAKE',
      connection: connection.name,
      endpoint: connection.endpoint,
      server_name: serverName,
      alpn,
      ok: view.getUint8(offset + TLS_HANDSHAKE.ok) === 1,
      latency_ms: u64(view, offset + TLS_HANDSHAKE.latency_ns) / 1e6,
      library,
    });
  }

  function close(record: RecordView): TlsEvent {
    const { view, offset } = record;
    return eventOf(record, { event: 'CLOSE', connection: connections.forget(view, offset + TLS_CLOSE.connection), ...readReset(view, offset + TLS_CLOSE.reset) });
  }

  return { data, endpoint, handshake, close, counters: connections.counters };
}

const NOTHING_ASKED: Greeting = { serverName: null, alpn: [] };

const EVIDENCE: Readonly<Record<number, 'inferred' | 'proven'>> = {
  [TLS_EVIDENCE.EVIDENCE_INFERRED]: 'inferred',
  [TLS_EVIDENCE.EVIDENCE_PROVEN]: 'proven',
};

/** Byte positions: exact up to 2^53, 9 petabytes on one connection. */
function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
