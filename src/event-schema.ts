/**
 * Schemas of the JSON form of every event, the edge where lines of files and
 * of the API become typed. Keys that are not listed pass: a newer version may
 * add some. Bodies and payloads are text here, with their encoding beside them.
 */
import { z } from 'zod';
import type {
  ExecData, ExitData, ForkData, HttpData, LogData, LossData, ProbeData, Source, SseData, StdioData, TlsChunk, TlsClose,
} from './event.ts';

/** A chunk on disk: the payload as text. */
type OnDisk<T extends { readonly payload: Uint8Array }> =
  Omit<T, 'payload'> & { readonly payload: string; readonly payload_encoding: 'utf8' | 'base64' };

const count = z.int().nonnegative();
const key = z.string();
const encoding = z.enum(['utf8', 'base64']);
const library = z.enum(['openssl', 'gnutls', 'nss', 'boringssl', 'rustls', 'go']);

const fork = z.object({ event: z.literal('FORK'), ppid: count, parent: key }) satisfies z.ZodType<ForkData>;

const exec = z.object({
  event: z.literal('EXEC'), ppid: count, parent: key, filename: z.string(), argv: z.array(z.string()), cwd: z.string(),
  uid: count, gid: count, truncated: z.boolean(), existing: z.boolean(),
}) satisfies z.ZodType<ExecData>;

const exit = z.object({
  event: z.literal('EXIT'), ppid: count, exit_code: count.nullable(), signal: z.string().nullable(),
  core_dumped: z.boolean(), duration_ms: z.number(), peak_rss_bytes: count, peak_rss_upper_bound: z.boolean(),
  user_ms: z.number(), system_ms: z.number(),
}) satisfies z.ZodType<ExitData>;

const chunk = {
  direction: z.enum(['read', 'write']), len: count, total: count, offset: count, withheld: count.exactOptional(),
  truncated: z.boolean(), fault: z.boolean(), tid: count, payload: z.string(), payload_encoding: encoding,
};

const tlsChunk = z.object({
  event: z.literal('DATA'), connection: z.string(), position: count, library, ...chunk,
}) satisfies z.ZodType<OnDisk<TlsChunk>>;

const tlsClose = z.object({ event: z.literal('CLOSE'), connection: z.string() }) satisfies z.ZodType<TlsClose>;

const stdio = z.object({
  fd: z.int(), role: z.enum(['stdin', 'stdout', 'stderr', 'other']), target: z.string(), ...chunk,
}) satisfies z.ZodType<OnDisk<StdioData>>;

const headers = z.record(z.string(), z.array(z.string()));
const headerList = z.array(z.tuple([z.string(), z.string()]));

const http = z.object({
  exchange: z.string(), connection: z.string(), state: z.enum(['complete', 'aborted', 'partial']),
  reason: z.string().nullable(), role: z.enum(['client', 'server']), method: z.string(), url: z.string(),
  path: z.string(), host: z.string().nullable(), http_version: z.string(), status: count.nullable(),
  status_text: z.string().nullable(), request_headers: headers, request_header_list: headerList,
  response_headers: headers, response_header_list: headerList,
  request_body: z.string().nullable(), request_body_encoding: encoding, request_body_bytes: count,
  request_body_truncated: z.boolean(), response_body: z.string().nullable(), response_body_encoding: encoding,
  response_body_bytes: count, response_body_truncated: z.boolean(), latency_ms: z.number().nullable(),
  ttfb_ms: z.number().nullable(), sse_events: count.nullable(), redacted: count,
}) satisfies z.ZodType<HttpData>;

const sse = z.object({
  exchange: z.string(), connection: z.string(), url: z.string(), index: count, event: z.string(), data: z.string(),
  last_event_id: z.string().nullable(), retry_ms: count.nullable(), since_request_ms: z.number(), truncated: z.boolean(),
}) satisfies z.ZodType<SseData>;

const probe = z.object({
  path: z.string(), library: library.nullable(), status: z.enum(['attached', 'absent', 'failed']),
  method: z.enum(['internal', 'symbol']).nullable(), functions: z.array(z.string()), reason: z.string().nullable(),
}) satisfies z.ZodType<ProbeData>;

const loss = z.object({
  stage: z.string(), of: z.string(), cause: z.string(), lost: count, bytes: count, connection: z.string().nullable(),
}) satisfies z.ZodType<LossData>;

const log = z.object({ level: z.enum(['info', 'warn', 'error']), message: z.string() }) satisfies z.ZodType<LogData>;

/** `data` of each source. */
export const dataSchemas = {
  process: z.discriminatedUnion('event', [fork, exec, exit]),
  tls: z.discriminatedUnion('event', [tlsChunk, tlsClose]),
  stdio, http, sse, probe, loss, log,
} as const satisfies Record<Source, z.ZodType>;

/** What every event has beside `timestamp`, `source` and `data`. */
export const envelopeSchema = z.object({
  source: z.string(), pid: count, comm: z.string(), id: z.string(), process: key.nullable(), session: key.nullable(),
});

/**
 * JSON Schema (2020-12) of one line of a capture. `timestamp` is given by hand:
 * it is an integer past 2^53, which zod's own integer stops at.
 */
export function jsonSchema(): Record<string, unknown> {
  const { $schema, properties } = z.toJSONSchema(envelopeSchema, { io: 'input' });
  const variants = Object.entries(dataSchemas).map(([source, schema]) => {
    const { $schema: _, ...data } = z.toJSONSchema(schema, { io: 'input' });
    return { properties: { source: { const: source }, data } };
  });
  return {
    $schema,
    title: 'agentsight-ts event',
    description: 'One line of a capture. Keys that are not listed may be present.',
    type: 'object',
    properties: {
      timestamp: { type: 'integer', minimum: 0, description: 'Nanoseconds since the Unix epoch; always the first key, exceeds 2^53.' },
      ...properties,
      source: { enum: Object.keys(dataSchemas) },
      data: { type: 'object' },
    },
    required: ['timestamp', 'source', 'pid', 'comm', 'data', 'id', 'process', 'session'],
    oneOf: variants,
  };
}
