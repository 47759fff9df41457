/**
 * ClickHouse's HTTP interface over an embedded engine, on loopback, so that the
 * unmodified @clickhouse/client is the one way to the store. Results are
 * buffered whole; nothing is streamed, and an error after the first byte cannot
 * happen.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { isUtf8 } from 'node:buffer';
import { gzip } from 'node:zlib';
import type { Session } from 'chdb';
import { isToken } from '../guard.ts';
import { EngineError, exceptionReply } from './errors.ts';
import { parseByteInsert } from './insert.ts';
import { readRequest, type EngineRequest } from './request.ts';
import { SessionPool, TooManyRequests } from './sessions.ts';

const gzipAsync = promisify(gzip);

export interface EngineServerOptions {
  readonly user: string;
  readonly key: string;
  readonly pool: SessionPool;
  readonly bodyLimitBytes: number;
}

interface Reply {
  readonly body: Uint8Array;
  readonly readRows: number;
  readonly readBytes: number;
  readonly writtenRows: number;
  readonly writtenBytes: number;
}

export function createEngineServer(options: EngineServerOptions): Server {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => replyError(response, error));
  });
  // The client keeps connections; closing one under it would cost it a retry.
  server.keepAliveTimeout = 3600_000;
  server.requestTimeout = 0;
  return server;
}

async function answer(options: EngineServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://engine');
  if (url.pathname === '/ping') {
    response.end('Ok.\n');
    return;
  }
  if (!isAuthorised(options, request, url)) {
    throw new EngineError(516, 'AUTHENTICATION_FAILED', 'the key is wrong');
  }
  const started = process.hrtime.bigint();
  const parsed = await readRequest(request, url, options.bodyLimitBytes);
  const reply = await run(options.pool, parsed, response);
  const elapsedNs = process.hrtime.bigint() - started;
  response.setHeader('X-ClickHouse-Query-Id', parsed.queryId ?? randomUUID());
  response.setHeader('X-ClickHouse-Summary', JSON.stringify({
    read_rows: String(reply.readRows),
    read_bytes: String(reply.readBytes),
    written_rows: String(reply.writtenRows),
    written_bytes: String(reply.writtenBytes),
    total_rows_to_read: '0',
    result_rows: '0',
    result_bytes: String(reply.body.length),
    elapsed_ns: String(elapsedNs),
  }));
  response.setHeader('X-ClickHouse-Server-Display-Name', 'agentsight-ts');
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  await send(response, reply.body, wantsGzip(request, url));
}

function isAuthorised(options: EngineServerOptions, request: IncomingMessage, url: URL): boolean {
  const { user, key } = credentials(request, url);
  return isToken(`${user}\0${key}`, `${options.user}\0${options.key}`);
}

function credentials(request: IncomingMessage, url: URL): { user: string; key: string } {
  const headerKey = request.headers['x-clickhouse-key'];
  if (typeof headerKey === 'string') {
    return { user: String(request.headers['x-clickhouse-user'] ?? 'default'), key: headerKey };
  }
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    const [user = '', ...rest] = Buffer.from(basic, 'base64').toString('utf8').split(':');
    return { user, key: rest.join(':') };
  }
  return { user: url.searchParams.get('user') ?? '', key: url.searchParams.get('password') ?? '' };
}

/** Runs the statement; when the client goes away first, the query is cancelled in the engine too. */
async function run(pool: SessionPool, request: EngineRequest, response: ServerResponse): Promise<Reply> {
  const insert = request.data.length > 0 ? parseByteInsert(request.sql) : null;
  const marker = randomUUID();
  const onClose = (): void => {
    if (!response.writableFinished) cancel(pool, marker);
  };
  response.once('close', onClose);
  try {
    if (insert !== null && request.parameters.size === 0 && request.database === null) {
      return await pool.use(false, (session) => insertBytes(session, insert, request));
    }
    return await pool.use(changesSession(request), async (session) => {
      await prepare(session, request);
      if (insert !== null) return insertBytes(session, insert, { ...request, settings: new Map() });
      return runText(session, request, marker);
    });
  } catch (error) {
    if (error instanceof TooManyRequests) throw new EngineError(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', error.message);
    throw error;
  } finally {
    response.off('close', onClose);
  }
}

function changesSession(request: EngineRequest): boolean {
  return request.settings.size > 0 || request.parameters.size > 0 || request.database !== null
    || /\b(?:SET|USE)\b/i.test(request.sql) || /TEMPORARY/i.test(request.sql);
}

async function prepare(session: Session, request: EngineRequest): Promise<void> {
  if (request.database !== null) await session.queryAsync(`USE \`${request.database.replaceAll('`', '')}\``);
  const assignments = [
    ...Array.from(request.settings, ([name, value]) => `${name}=${literal(value)}`),
    ...Array.from(request.parameters, ([name, value]) => `param_${name}=${literal(value)}`),
  ];
  if (assignments.length > 0) await session.queryAsync(`SET ${assignments.join(', ')}`);
}

/** Settings go into the statement's own SETTINGS clause, which ends with the statement. */
async function insertBytes(session: Session, insert: NonNullable<ReturnType<typeof parseByteInsert>>, request: EngineRequest): Promise<Reply> {
  const summary = await session.insert({
    table: insert.table,
    ...(insert.columns === null ? {} : { columns: insert.columns }),
    format: insert.format,
    values: request.data,
    settings: Object.fromEntries(request.settings),
  });
  return {
    body: Buffer.alloc(0),
    readRows: summary.rowsWritten,
    readBytes: summary.bytesWritten,
    writtenRows: summary.rowsWritten,
    writtenBytes: summary.bytesWritten,
  };
}

async function runText(session: Session, request: EngineRequest, marker: string): Promise<Reply> {
  if (request.data.length > 0 && !isUtf8(request.data)) {
    throw new EngineError(48, 'NOT_IMPLEMENTED', 'this statement takes no binary data: use INSERT INTO table (columns) FORMAT JSONEachRow');
  }
  const data = request.data.length > 0 ? `\n${request.data.toString('utf8')}` : '';
  const result = await session.queryAsync(`/* ${marker} */ ${request.sql}${data}`, { format: 'TabSeparated' });
  return { body: result.bytes(), readRows: result.rowsRead, readBytes: result.bytesRead, writtenRows: 0, writtenBytes: 0 };
}

/** KILL QUERY … SYNC never returns in the embedded engine, hence ASYNC. */
function cancel(pool: SessionPool, marker: string): void {
  pool.use(false, (session) => session.queryAsync(`KILL QUERY WHERE query LIKE '/* ${marker} */%' ASYNC`)).catch(() => {
    // It ended by itself, or the engine is too busy: then its own time limit ends it.
  });
}

function literal(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function wantsGzip(request: IncomingMessage, url: URL): boolean {
  return url.searchParams.get('enable_http_compression') === '1'
    && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
}

async function send(response: ServerResponse, body: Uint8Array, compress: boolean): Promise<void> {
  if (compress) response.setHeader('Content-Encoding', 'gzip');
  const bytes = compress ? await gzipAsync(body) : body;
  response.setHeader('Content-Length', bytes.length);
  response.end(bytes);
}

function replyError(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  const reply = exceptionReply(error);
  response.writeHead(reply.status, {
    'X-ClickHouse-Exception-Code': String(reply.code),
    'Content-Type': 'text/plain; charset=UTF-8',
    'Content-Length': Buffer.byteLength(reply.text),
    // The rest of an unread body would be taken for the next request.
    Connection: reply.status === 413 ? 'close' : 'keep-alive',
  });
  response.end(reply.text);
}
