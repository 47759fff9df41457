/**
 * All connections of one subscription: bounded in number and in idle time, the
 * longest idle one first to go.
 */
import type { Endpoint, Event, ProcessKey, Resettable, TlsEndpoint } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import type { Seen } from './channel.ts';
import { type Connection, createConnection } from './connection.ts';
import type { Environment } from './options.ts';
import type { Chunk, ChunkEvent } from './part.ts';
import type { End } from './protocol.ts';

export interface Connections {
  readonly size: number;
  accept(event: Event): void;
  /** Ends connections that no byte has used for the limit. */
  sweep(now: Nanoseconds): void;
  /** Ends all: the events are over. Safe twice. */
  end(reason: string): void;
  /** Forgets all and emits nothing. */
  close(): void;
}

interface Table {
  readonly environment: Environment;
  /** Longest idle first, to the precision of `TOUCH_MS`. */
  readonly byId: Map<string, Touched>;
  /** Sockets that were told before the first bytes, oldest first. */
  readonly endpoints: Map<string, Endpoint>;
  readonly byProcess: Map<ProcessKey, Set<Connection>>;
  /** Of connections that were forgotten as idle, oldest first. */
  readonly forgotten: Map<string, Seen>;
  swept: Nanoseconds | null;
}

interface Touched {
  readonly connection: Connection;
  touched: Nanoseconds;
}

/** Moving a connection to the end of the map costs more than parsing a small part, so it is done once a second. */
const TOUCH_MS = 1000;
const CLOSED: End = { reason: 'connection closed', unfinished: [] };
const RESET_REASON = { peer: 'connection reset by its peer', program: 'connection reset by the program' };
const BOTH = ['read', 'write'] as const;

export function createConnections(environment: Environment): Connections {
  const table: Table = { environment, byId: new Map(), endpoints: new Map(), byProcess: new Map(), forgotten: new Map(), swept: null };
  return {
    get size() {
      return table.byId.size;
    },
    accept(event) {
      sweepByEvent(table, event.timestamp);
      if (event.source === 'tls' || event.source === 'net') {
        acceptConnection(table, event);
        return;
      }
      if (event.source === 'process' && event.data.event === 'EXIT' && event.process !== null) {
        endProcess(table, event.process);
      }
      environment.emit(event);
    },
    sweep: (now) => sweep(table, now),
    end(reason) {
      for (const { connection } of table.byId.values()) end(table, connection, { reason, unfinished: BOTH });
    },
    close() {
      table.byId.clear();
      table.endpoints.clear();
      table.byProcess.clear();
      table.forgotten.clear();
    },
  };
}

function acceptConnection(table: Table, event: ChunkEvent): void {
  const { data } = event;
  switch (data.event) {
    case 'DATA':
      acceptChunk(table, event, data);
      return;
    case 'ENDPOINT':
      locate(table, data);
      break;
    case 'END':
      endById(table, data);
      break;
    case 'CLOSE':
      // That of a socket comes after its END, where there was anything to end.
      if (event.source === 'tls') endById(table, data);
      break;
    default:
  }
  table.environment.emit(event);
}

function endById(table: Table, { connection, reset }: { readonly connection: string } & Resettable): void {
  const entry = table.byId.get(connection);
  table.endpoints.delete(connection);
  table.forgotten.delete(connection);
  if (entry === undefined) return;
  end(table, entry.connection, reset === undefined ? CLOSED : { reason: RESET_REASON[reset.by], unfinished: reset.unfinished });
}

function locate({ byId, endpoints, environment }: Table, { connection, endpoint }: TlsEndpoint): void {
  const known = byId.get(connection);
  if (known !== undefined) {
    known.connection.locate(endpoint);
    return;
  }
  if (endpoints.size >= environment.limits.connections) endpoints.delete(endpoints.keys().next().value as string);
  endpoints.set(connection, endpoint);
}

function acceptChunk(table: Table, event: ChunkEvent, chunk: Chunk): void {
  let entry = table.byId.get(chunk.connection);
  if (entry === undefined) {
    makeRoom(table);
    entry = { connection: createConnection(table.environment, event, chunk, table.forgotten.get(chunk.connection) ?? null), touched: event.timestamp };
    const endpoint = table.endpoints.get(chunk.connection);
    if (endpoint !== undefined && chunk.endpoint === null) entry.connection.locate(endpoint);
    table.endpoints.delete(chunk.connection);
    table.forgotten.delete(chunk.connection);
    table.byId.set(chunk.connection, entry);
    table.environment.counters.add('connections');
    index(table, entry.connection);
  } else {
    touch(table, entry, event);
  }
  entry.connection.accept(event, chunk);
}

function touch(table: Table, entry: Touched, event: ChunkEvent): void {
  if (entry.connection.process !== event.process) {
    unindex(table, entry.connection);
    entry.connection.process = event.process;
    index(table, entry.connection);
  }
  if (differenceMs(event.timestamp, entry.touched) < TOUCH_MS) return;
  entry.touched = event.timestamp;
  table.byId.delete(entry.connection.id);
  table.byId.set(entry.connection.id, entry);
}

function makeRoom(table: Table): void {
  if (table.byId.size < table.environment.limits.connections) return;
  for (const { connection } of table.byId.values()) {
    table.environment.counters.add('connections_evicted');
    end(table, connection, { reason: 'too many connections', unfinished: BOTH });
    return;
  }
}

function sweepByEvent(table: Table, now: Nanoseconds): void {
  const every = table.environment.limits.connectionIdleMs / 10;
  if (table.swept !== null && differenceMs(now, table.swept) < every) return;
  table.swept = now;
  sweep(table, now);
}

function sweep(table: Table, now: Nanoseconds): void {
  const { connectionIdleMs } = table.environment.limits;
  for (const { connection, touched } of table.byId.values()) {
    if (differenceMs(now, touched) < connectionIdleMs) return;
    if (differenceMs(now, connection.last) < connectionIdleMs) continue;
    table.environment.counters.add('connections_idle');
    forget(table, connection);
    end(table, connection, { reason: 'connection idle', unfinished: BOTH });
  }
}

/** Its parsers end; where it was stays known, so that a loss is told from a pause. */
function forget({ forgotten, environment: { limits, counters } }: Table, { id, seen }: Connection): void {
  const [oldest] = forgotten.keys();
  if (forgotten.size >= limits.connections && oldest !== undefined && forgotten.delete(oldest)) counters.add('connections_evicted');
  forgotten.set(id, seen);
}

/** A process that ended without freeing its connections has ended them all the same. */
function endProcess(table: Table, process: ProcessKey): void {
  const connections = table.byProcess.get(process);
  if (connections === undefined) return;
  for (const connection of connections) end(table, connection, { reason: 'process exited', unfinished: BOTH });
}

function end(table: Table, connection: Connection, how: End): void {
  table.byId.delete(connection.id);
  unindex(table, connection);
  connection.end(how);
}

function index(table: Table, connection: Connection): void {
  if (connection.process === null) return;
  const set = table.byProcess.get(connection.process);
  if (set === undefined) table.byProcess.set(connection.process, new Set([connection]));
  else set.add(connection);
}

function unindex(table: Table, connection: Connection): void {
  if (connection.process === null) return;
  const set = table.byProcess.get(connection.process);
  set?.delete(connection);
  if (set?.size === 0) table.byProcess.delete(connection.process);
}
