/** The one way to the store: @clickhouse/client with a URL, embedded or server. */
import { Readable } from 'node:stream';
import { ClickHouseError, ClickHouseLogLevel, createClient, drainStream, type ClickHouseClient, type ClickHouseSettings } from '@clickhouse/client';
import { AgentsightError, causeText } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';

export interface StoreAddress {
  readonly url: string;
  readonly user?: string;
  readonly key?: string;
}

/** An insert with fsync on a slow disk, or a long query, still ends well within this. */
const REQUEST_MS = 120_000;

/**
 * What an insert needs to read our lines as they are: nanoseconds as a bare
 * integer, objects as their text, null for "no process", lone surrogates kept.
 */
const INSERT_SETTINGS: ClickHouseSettings = {
  date_time_input_format: 'best_effort',
  input_format_json_read_objects_as_strings: 1,
  input_format_skip_unknown_fields: 1,
  input_format_null_as_default: 1,
  input_format_json_throw_on_bad_escape_sequence: 0,
  // A replayed capture may span years.
  max_partitions_per_insert_block: '0',
  async_insert: 0,
};

export function openClient(address: StoreAddress): ClickHouseClient {
  return createClient({
    url: address.url,
    ...(address.user === undefined ? {} : { username: address.user }),
    ...(address.key === undefined ? {} : { password: address.key }),
    application: 'agentsight-ts',
    request_timeout: REQUEST_MS,
    max_open_connections: LIMITS.engineConcurrency,
    log: { level: ClickHouseLogLevel.OFF },
  });
}

export interface InsertBytes {
  readonly table: string;
  readonly columns: readonly string[];
  readonly token: string;
  readonly lines: Buffer;
}

export async function insertBytes(client: ClickHouseClient, insert: InsertBytes): Promise<void> {
  const result = await client.exec({
    query: `INSERT INTO ${insert.table} (${insert.columns.join(', ')}) FORMAT JSONEachRow`,
    values: Readable.from([insert.lines], { objectMode: false }),
    clickhouse_settings: { ...INSERT_SETTINGS, insert_deduplication_token: insert.token },
  });
  await drainStream(result.stream);
}

export type Parameters = Readonly<Record<string, string | number | readonly string[]>>;

export async function select<Row>(client: ClickHouseClient, query: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<readonly Row[]> {
  const result = await client.query({
    query,
    query_params: { ...parameters },
    format: 'JSONEachRow',
    clickhouse_settings: { output_format_json_quote_64bit_integers: 1, max_execution_time: LIMITS.storeQuerySeconds },
    ...(signal === undefined ? {} : { abort_signal: signal }),
  });
  return result.json<Row>();
}

/**
 * Codes that mean that a line is bad, not that the store is. The last ones:
 * value out of range, decimal overflow, nesting too deep.
 */
const BAD_LINE_CODES = new Set([6, 25, 26, 27, 33, 34, 38, 41, 53, 69, 70, 72, 117, 130, 131, 349, 321, 407, 306, 467, 673]);

export function isBadLine(error: unknown): boolean {
  return error instanceof ClickHouseError && (BAD_LINE_CODES.has(Number(error.code)) || error.message.includes('(at row '));
}

export function storeError(doing: string, cause: unknown): AgentsightError {
  if (cause instanceof AgentsightError) return cause;
  return new AgentsightError('STORE_FAILED', `could not ${doing}: ${causeText(cause)}`, { cause });
}
