/**
 * SQL of sessions and processes, and the reading of their rows. A session is a
 * traced root process with its descendants: its key is the root's process key.
 */
import type { Process, Session } from '../api.ts';
import type { Query } from './event-queries.ts';
import { decodeKeyCursor } from './cursor.ts';
import { parseJson } from './rows.ts';

export interface SessionFilter {
  /** This one alone. */
  readonly session?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface SessionRow {
  readonly session: string;
  readonly host: string;
  readonly pid: number;
  readonly comm: string;
  readonly start: string;
  readonly last: string;
  readonly events: string;
  readonly processes: string;
  readonly exchanges: string;
}

const NANOSECONDS = 'toString(toUnixTimestamp64Nano(';

/** Newest first, one row more than asked for. */
export function sessionsQuery(filter: SessionFilter): Query {
  const place = filter.cursor === undefined ? null : decodeKeyCursor(filter.cursor);
  return {
    sql: `SELECT session, any(host) AS host,
anyIf(pid, process = session) AS pid, argMaxIf(comm, timestamp, process = session) AS comm,
${NANOSECONDS}min(timestamp))) AS start, ${NANOSECONDS}max(timestamp))) AS last,
toString(count()) AS events, toString(uniqExactIf(process, process != '')) AS processes, toString(countIf(source = 'http')) AS exchanges
FROM events WHERE ${filter.session === undefined ? "session != ''" : 'session = {session:String}'} GROUP BY session
${place === null ? '' : "HAVING (min(timestamp), session) < (fromUnixTimestamp64Nano({time:Int64}, 'UTC'), {key:String})"}
ORDER BY min(timestamp) DESC, session DESC LIMIT ${filter.limit + 1}`,
    parameters: {
      ...(filter.session === undefined ? {} : { session: filter.session }),
      ...(place === null ? {} : { time: place.time, key: place.key }),
    },
  };
}

export interface RootRow {
  readonly session: string;
  readonly lost: string;
  /** The first: a shell becomes the last command of its script, and the session is still that of the shell. */
  readonly exec: string;
  readonly exec_comm: string;
  readonly exit: string;
  readonly exit_time: string;
}

/** What only few events say, of the sessions of one page: `data` is read for those events alone. */
export function rootsQuery(sessions: readonly string[]): Query {
  return {
    sql: `SELECT session,
toString(sumIf(JSONExtractUInt(data, 'lost'), source = 'loss')) AS lost,
argMinIf(data, timestamp, root AND event = 'EXEC') AS exec,
argMinIf(comm, timestamp, root AND event = 'EXEC') AS exec_comm,
argMaxIf(data, timestamp, root AND event = 'EXIT') AS exit,
${NANOSECONDS}maxIf(timestamp, root AND event = 'EXIT'))) AS exit_time
FROM (
  SELECT session, source, timestamp, comm, data, process = session AND source = 'process' AS root, JSONExtractString(data, 'event') AS event
  FROM events WHERE session IN {sessions:Array(String)} AND (source = 'loss' OR (source = 'process' AND process = session))
) GROUP BY session`,
    parameters: { sessions },
  };
}

export function readSession(row: SessionRow, root: RootRow | undefined): Session {
  const exec = object(root?.exec);
  const exit = object(root?.exit);
  return {
    session: row.session,
    host: row.host,
    pid: row.pid,
    comm: root === undefined || root.exec_comm === '' ? row.comm : root.exec_comm,
    command: texts(exec?.['argv']),
    cwd: text(exec?.['cwd']),
    start: row.start,
    end: exit === undefined || root === undefined ? null : root.exit_time,
    exit_code: number(exit?.['exit_code']),
    signal: text(exit?.['signal']),
    last: row.last,
    events: Number(row.events),
    processes: Number(row.processes),
    exchanges: Number(row.exchanges),
    lost: Number(root?.lost ?? 0),
  };
}

export interface ProcessFilter {
  readonly session?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface ProcessRow {
  readonly process: string;
  readonly session: string;
  readonly pid: number;
  readonly comm: string;
  readonly start: string;
  readonly fork: string;
  readonly exec: string;
  readonly exit: string;
  readonly exit_time: string;
}

/** By start, one row more than asked for. */
export function processesQuery(filter: ProcessFilter): Query {
  const place = filter.cursor === undefined ? null : decodeKeyCursor(filter.cursor);
  return {
    sql: `SELECT process, any(session) AS session, any(pid) AS pid, argMax(comm, timestamp) AS comm,
${NANOSECONDS}min(timestamp))) AS start,
argMaxIf(data, timestamp, event = 'FORK') AS fork,
argMaxIf(data, timestamp, event = 'EXEC') AS exec,
argMaxIf(data, timestamp, event = 'EXIT') AS exit,
${NANOSECONDS}maxIf(timestamp, event = 'EXIT'))) AS exit_time
FROM (
  SELECT process, session, pid, comm, timestamp, data, JSONExtractString(data, 'event') AS event
  FROM events WHERE source = 'process' AND process != '' ${filter.session === undefined ? '' : 'AND session = {session:String}'}
) GROUP BY process
${place === null ? '' : "HAVING (min(timestamp), process) > (fromUnixTimestamp64Nano({time:Int64}, 'UTC'), {key:String})"}
ORDER BY min(timestamp), process LIMIT ${filter.limit + 1}`,
    parameters: {
      ...(filter.session === undefined ? {} : { session: filter.session }),
      ...(place === null ? {} : { time: place.time, key: place.key }),
    },
  };
}

export function readProcess(row: ProcessRow): Process {
  const fork = object(row.fork);
  const exec = object(row.exec);
  const exit = object(row.exit);
  const of = (name: string): unknown => exec?.[name] ?? fork?.[name] ?? exit?.[name];
  return {
    process: row.process,
    session: row.session === '' ? null : row.session,
    pid: row.pid,
    // The parent at birth: at its exit an orphan's parent is somebody else.
    ppid: number(fork?.['ppid'] ?? of('ppid')) ?? 0,
    parent: text(fork?.['parent'] ?? of('parent')),
    comm: row.comm,
    filename: text(exec?.['filename']),
    argv: texts(exec?.['argv']),
    cwd: text(exec?.['cwd']),
    uid: number(exec?.['uid']),
    start: row.start,
    end: exit === undefined ? null : row.exit_time,
    exit_code: number(exit?.['exit_code']),
    signal: text(exit?.['signal']),
    peak_rss_bytes: number(exit?.['peak_rss_bytes']),
  };
}

function object(json: string | undefined): Readonly<Record<string, unknown>> | undefined {
  const value = json === undefined || json === '' ? undefined : parseJson(json);
  return typeof value === 'object' && value !== null ? value as Readonly<Record<string, unknown>> : undefined;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
