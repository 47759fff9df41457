/**
 * One request of ClickHouse's HTTP interface, parsed: the statement, its data,
 * parameters and settings. Covers what @clickhouse/client sends. Refused by
 * name: server sessions, roles, multipart parameters, native compression.
 * https://clickhouse.com/docs/interfaces/http
 */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { EngineError } from './errors.ts';

const gunzipAsync = promisify(gunzip);

export interface EngineRequest {
  readonly sql: string;
  /** Body of an insert whose statement came in the URL; empty otherwise. */
  readonly data: Buffer;
  readonly queryId: string | null;
  readonly database: string | null;
  /** Values as the client escaped them: the engine undoes TabSeparated escapes. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly settings: ReadonlyMap<string, string>;
}

/** Names that the HTTP interface itself consumes and the engine does not know as settings. */
const CONSUMED = new Set([
  'query', 'query_id', 'database', 'user', 'password', 'default_format', 'decompress', 'buffer_size',
  'wait_end_of_query', 'quota_key', 'stacktrace', 'close_session', 'session_timeout', 'session_check',
  'enable_http_compression', 'send_progress_in_http_headers', 'http_headers_progress_interval_ms',
]);
const REFUSED = new Set(['session_id', 'role', 'compress']);
const SETTING_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export async function readRequest(request: IncomingMessage, url: URL, bodyLimitBytes: number): Promise<EngineRequest> {
  if (request.headers['content-type']?.startsWith('multipart/') === true) {
    throw new EngineError(48, 'NOT_IMPLEMENTED', 'parameters in a multipart body are not supported');
  }
  const settings = new Map<string, string>();
  const parameters = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (REFUSED.has(name)) throw new EngineError(48, 'NOT_IMPLEMENTED', `${name} is not supported`);
    if (CONSUMED.has(name)) continue;
    if (!SETTING_NAME.test(name)) throw new EngineError(115, 'UNKNOWN_SETTING', `setting ${JSON.stringify(name)} has no valid name`);
    if (name.startsWith('param_')) parameters.set(name.slice('param_'.length), value);
    else settings.set(name, value);
  }
  const body = await readBody(request, bodyLimitBytes);
  const inUrl = url.searchParams.get('query');
  return {
    sql: inUrl ?? body.toString('utf8'),
    data: inUrl === null ? Buffer.alloc(0) : body,
    queryId: url.searchParams.get('query_id'),
    database: url.searchParams.get('database'),
    parameters,
    settings,
  };
}

async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, bytes);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return body;
  if (encoding !== 'gzip') throw new EngineError(48, 'NOT_IMPLEMENTED', `content encoding ${encoding} is not supported`);
  try {
    return await gunzipAsync(body, { maxOutputLength: limitBytes });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(limitBytes);
    throw new EngineError(354, 'ZLIB_INFLATE_FAILED', 'the body is not valid gzip');
  }
}

function tooLarge(limitBytes: number): EngineError {
  return new EngineError(307, 'TOO_MANY_BYTES', `the body is larger than ${limitBytes} bytes`);
}
