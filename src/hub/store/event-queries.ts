/** SQL of the event lists: pure, values only as parameters. */
import { LIMITS } from '../../limits.ts';
import type { Parameters } from './client.ts';
import { decodeEventCursor, sequenceOf } from './cursor.ts';
import type { EventRow } from './rows.ts';
import type { RowFilter } from './where.ts';

export interface EventFilter {
  readonly session?: string | undefined;
  readonly process?: string | undefined;
  readonly sources?: readonly string[] | undefined;
  /** Epoch nanoseconds, inclusive and exclusive. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly order: 'asc' | 'desc';
  readonly where?: RowFilter | undefined;
}

export interface ScanRow extends EventRow {
  /** Rows that there were, before the limit of bytes. */
  readonly total: string;
}

export interface Query {
  readonly sql: string;
  readonly parameters: Parameters;
}

const PLACE = 'timestamp, sequence, id';
const TIME = 'toString(toUnixTimestamp64Nano(timestamp)) AS time';
/** JSON of a value beyond this is not needed to show its first `listStringCharacters`: 4 bytes or one escape of 6 each. */
const PIECE_BYTES = LIMITS.listStringCharacters * 6;

/**
 * A long row is taken apart in the store, so that a body of megabytes is read
 * once there and never travels. A row it cannot take apart gives no parts, and
 * then its beginning, which the API marks as unreadable.
 */
const LIST_COLUMNS = `
${TIME}, source, pid, comm, id, process, session,
length(data) > ${LIMITS.listRowBytes} AS long,
if(long, JSONExtractKeysAndValuesRaw(data), []) AS members,
if(long AND notEmpty(members), '', substring(data, 1, ${LIMITS.listRowBytes})) AS cut_data,
arrayMap(m -> (m.1, substring(m.2, 1, ${PIECE_BYTES}), toString(length(m.2))), members) AS parts`;

/** One row more than asked for, which says whether there is a next page. */
export function eventsQuery(filter: EventFilter): Query {
  const { sql, parameters } = pageOf(filter);
  return {
    sql: `SELECT time, source, pid, comm, id, process, session, cut_data AS data, parts FROM (
SELECT ${LIST_COLUMNS}, timestamp, sequence FROM (${sql})
) ORDER BY ${orderBy(filter.order)}`,
    parameters,
  };
}

/** Whole rows for a filter to look at: as many as `limit`, or as fit the limit of bytes, and one at least. */
export function scanQuery(filter: EventFilter): Query {
  const { sql, parameters } = pageOf(filter);
  const order = orderBy(filter.order);
  return {
    sql: `SELECT ${TIME}, source, pid, comm, id, process, session, data, [] AS parts, toString(total) AS total FROM (
SELECT *, count() OVER () AS total,
sum(length(data)) OVER (ORDER BY ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - length(data) AS bytes_before FROM (${sql})
) WHERE bytes_before < ${LIMITS.whereQueryBytes} ORDER BY ${order}`,
    parameters,
  };
}

export function eventQuery(id: string): Query {
  return {
    sql: `SELECT ${TIME}, source, pid, comm, id, process, session, data, [] AS parts FROM events
WHERE sequence = {sequence:UInt64} AND id = {id:String} LIMIT 1`,
    parameters: { id, sequence: sequenceOf(id) },
  };
}

/** One parse of `data` for all fields: a body of megabytes would be read once per field otherwise. */
const EXCHANGE_FIELDS = `Tuple(
exchange String, state String, method String, url String, host Nullable(String), status Nullable(UInt32),
latency_ms Nullable(Float64), ttfb_ms Nullable(Float64),
request_body_bytes UInt64, response_body_bytes UInt64, sse_events Nullable(UInt64))`;

export interface ExchangeRow {
  readonly time: string;
  readonly pid: number;
  readonly comm: string;
  readonly id: string;
  readonly process: string;
  readonly session: string;
  readonly fields: {
    readonly exchange: string;
    readonly state: string;
    readonly method: string;
    readonly url: string;
    readonly host: string | null;
    readonly status: number | null;
    readonly latency_ms: number | null;
    readonly ttfb_ms: number | null;
    readonly request_body_bytes: string;
    readonly response_body_bytes: string;
    readonly sse_events: string | null;
  };
}

export function exchangesQuery(filter: EventFilter): Query {
  const { sql, parameters } = pageOf({ ...filter, sources: ['http'] });
  return {
    sql: `SELECT ${TIME}, pid, comm, id, process, session,
JSONExtract(data, '${EXCHANGE_FIELDS.replaceAll('\n', ' ')}') AS fields
FROM (${sql}) ORDER BY ${orderBy(filter.order)}`,
    parameters,
  };
}

function pageOf(filter: EventFilter): Query {
  const conditions: string[] = [];
  const parameters: Record<string, string | number | readonly string[]> = {};
  const where = (condition: string, name: string, value: string | readonly string[]): void => {
    conditions.push(condition);
    parameters[name] = value;
  };
  if (filter.session !== undefined) where('session = {session:String}', 'session', filter.session);
  if (filter.process !== undefined) where('process = {process:String}', 'process', filter.process);
  if (filter.sources !== undefined) where('source IN {sources:Array(String)}', 'sources', filter.sources);
  if (filter.from !== undefined) where("timestamp >= fromUnixTimestamp64Nano({from:Int64}, 'UTC')", 'from', filter.from);
  if (filter.to !== undefined) where("timestamp < fromUnixTimestamp64Nano({to:Int64}, 'UTC')", 'to', filter.to);
  if (filter.where?.condition != null) {
    conditions.push(filter.where.condition);
    Object.assign(parameters, filter.where.parameters);
  }
  const place = filter.cursor === undefined ? null : decodeEventCursor(filter.cursor);
  if (place !== null) {
    const sign = filter.order === 'asc' ? '>' : '<';
    // The first condition alone lets the primary key skip; the second is exact.
    where(`timestamp ${sign}= fromUnixTimestamp64Nano({place_time:Int64}, 'UTC')`, 'place_time', place.time);
    where(`(${PLACE}) ${sign} (fromUnixTimestamp64Nano({place_time:Int64}, 'UTC'), {place_sequence:UInt64}, {place_id:String})`, 'place_sequence', place.sequence);
    parameters['place_id'] = place.id;
  }
  return {
    sql: `SELECT timestamp, sequence, source, pid, comm, id, process, session, data FROM events
${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''}
ORDER BY ${orderBy(filter.order)} LIMIT ${filter.limit + 1}`,
    parameters,
  };
}

function orderBy(order: 'asc' | 'desc'): string {
  return PLACE.split(', ').map((column) => `${column} ${order.toUpperCase()}`).join(', ');
}
