/**
 * All connections of one subscription: bounded in number and in idle time, the
 * longest idle one first to go.
 */
import type { Event, ProcessKey, TlsEvent } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import { type Connection, createConnection } from './connection.ts';
import type { Environment } from './options.ts';

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
  readonly byProcess: Map<ProcessKey, Set<Connection>>;
  swept: Nanoseconds | null;
}

interface Touched {
  readonly connection: Connection;
  touched: Nanoseconds;
}

/** Moving a connection to the end of the map costs more than parsing a small part, so it is done once a second. */
const TOUCH_MS = 1000;
const CLOSED = { reason: 'connection closed', clean: true };

export function createConnections(environment: Environment): Connections {
  const table: Table = { environment, byId: new Map(), byProcess: new Map(), swept: null };
  return {
    get size() {
      return table.byId.size;
    },
    accept(event) {
      sweepByEvent(table, event.timestamp);
      if (event.source === 'tls') {
        acceptTls(table, event);
        return;
      }
      if (event.source === 'process' && event.data.event === 'EXIT' && event.process !== null) {
        endProcess(table, event.process);
      }
      environment.emit(event);
    },
    sweep: (now) => sweep(table, now),
    end(reason) {
      for (const { connection } of table.byId.values()) end(table, connection, reason, false);
    },
    close() {
      table.byId.clear();
      table.byProcess.clear();
    },
  };
}

function acceptTls(table: Table, event: TlsEvent): void {
  const { data } = event;
  let entry = table.byId.get(data.connection);
  if (data.event === 'CLOSE') {
    if (entry !== undefined) end(table, entry.connection, CLOSED.reason, CLOSED.clean);
    table.environment.emit(event);
    return;
  }
  if (entry === undefined) {
    makeRoom(table);
    entry = { connection: createConnection(table.environment, event, data), touched: event.timestamp };
    table.byId.set(data.connection, entry);
    table.environment.counters.add('connections');
    index(table, entry.connection);
  } else {
    touch(table, entry, event);
  }
  entry.connection.accept(event, data);
}

function touch(table: Table, entry: Touched, event: TlsEvent): void {
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
    end(table, connection, 'too many connections', false);
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
    end(table, connection, 'connection idle', false);
  }
}

/** A process that ended without freeing its connections has ended them all the same. */
function endProcess(table: Table, process: ProcessKey): void {
  const connections = table.byProcess.get(process);
  if (connections === undefined) return;
  for (const connection of connections) end(table, connection, 'process exited', false);
}

function end(table: Table, connection: Connection, reason: string, clean: boolean): void {
  table.byId.delete(connection.id);
  unindex(table, connection);
  connection.end({ reason, clean });
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
