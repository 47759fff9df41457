/**
 * Schemas of the JSON form of every event, the edge where lines of files and
 * of the API become typed. Keys that are not listed pass: a newer version may
 * add some. Bodies and payloads are text here, with their encoding beside them.
 */
import { z } from 'zod';
import type {
  BodyData, Endpoint, ExecData, ExitData, FileChange, FileIo, ForkData, GrpcData, HttpData, HttpFlag, InterimResponse, LogData, LossData, McpData, NetChunk, NetDns,
  NetEnd, NetHello, NetProtocol, NetSocket, ProbeData, ProtobufField, ReadlineData, SignalData, SocketAddress, Source, SseData, StdioData, StdioPeer, SystemData,
  TlsChunk, TlsClose, TlsEndpoint, TlsHandshake, WebsocketData,
} from './event.ts';

/*
 * Fields that an earlier version did not write have a default: its captures stay readable.
 */

/** A chunk on disk: the payload as text. */
type OnDisk<T extends { readonly payload: Uint8Array }> =
  Omit<T, 'payload'> & { readonly payload: string; readonly payload_encoding: 'utf8' | 'base64' };

const count = z.int().nonnegative();
const key = z.string();
const encoding = z.enum(['utf8', 'base64']);
const library = z.enum(['openssl', 'gnutls', 'nss', 'boringssl', 'rustls', 'go']);
const namedLibrary = z.enum([...library.options, 'jsse', 'wolfssl', 'mbedtls', 's2n', 'bearssl']);

const address = z.object({ address: z.string(), port: count.nullable() }) satisfies z.ZodType<SocketAddress>;
const endpoint = z.object({
  family: z.enum(['ipv4', 'ipv6', 'unix']), local: address, remote: address, socket: z.string(),
}) satisfies z.ZodType<Endpoint>;
const someEndpoint = endpoint.nullable().default(null);
const serverName = z.string().nullable().default(null);
const errno = z.string().nullable();
const spoken = z.enum(['http', 'tls', 'dns', 'postgresql', 'mysql', 'redis']);
const masked = { secrets: z.array(z.string()).exactOptional() };

const fork = z.object({ event: z.literal('FORK'), ppid: count, parent: key }) satisfies z.ZodType<ForkData>;

const exec = z.object({
  event: z.literal('EXEC'), ppid: count, parent: key, filename: z.string(), argv: z.array(z.string()), cwd: z.string(),
  uid: count, gid: count, exe: z.string().nullable().default(null), cgroup: z.string().nullable().default(null),
  container: z.string().nullable().default(null),
  ancestors: z.array(z.object({ pid: count, process: key, comm: z.string() })).default([]), truncated: z.boolean(), existing: z.boolean(), ...masked,
}) satisfies z.ZodType<ExecData>;

const exit = z.object({
  event: z.literal('EXIT'), ppid: count, exit_code: count.nullable(), signal: z.string().nullable(),
  core_dumped: z.boolean(), duration_ms: z.number(), peak_rss_bytes: count, peak_rss_upper_bound: z.boolean(),
  user_ms: z.number(), system_ms: z.number(), read_bytes: count.nullable().default(null), written_bytes: count.nullable().default(null),
}) satisfies z.ZodType<ExitData>;

const chunk = {
  direction: z.enum(['read', 'write']), len: count, total: count, offset: count, withheld: count.exactOptional(),
  truncated: z.boolean(), fault: z.boolean(), tid: count, payload: z.string(), payload_encoding: encoding,
};

const tlsChunk = z.object({
  event: z.literal('DATA'), connection: z.string(), position: count, library, endpoint: someEndpoint, server_name: serverName, ...chunk,
}) satisfies z.ZodType<OnDisk<TlsChunk>>;

const resettable = {
  reset: z.object({ by: z.enum(['peer', 'program']), unfinished: z.array(z.enum(['read', 'write'])) }).exactOptional(),
};

const tlsClose = z.object({ event: z.literal('CLOSE'), connection: z.string(), ...resettable }) satisfies z.ZodType<TlsClose>;

const tlsEndpoint = z.object({
  event: z.literal('ENDPOINT'), connection: z.string(), endpoint, server_name: serverName, evidence: z.enum(['proven', 'inferred']), library: library.nullable().default(null),
}) satisfies z.ZodType<TlsEndpoint>;

const tlsHandshake = z.object({
  event: z.literal('HANDSHAKE'), connection: z.string(), endpoint: someEndpoint, server_name: serverName, alpn: z.array(z.string()).default([]),
  ok: z.boolean(), latency_ms: z.number(), library,
}) satisfies z.ZodType<TlsHandshake>;

const fileChange = z.object({
  event: z.enum(['OPEN', 'TRUNCATE', 'RENAME', 'LINK', 'SYMLINK', 'UNLINK', 'MKDIR', 'RMDIR', 'CHMOD', 'CHOWN']),
  path: z.string(), target: z.string().nullable(), error: errno, flags: z.array(z.string()), created: z.boolean().nullable(),
  mode: count.nullable(), length: count.nullable(), uid: count.nullable(), gid: count.nullable(), count, span_ms: z.number(), truncated: z.boolean(), ...masked,
}) satisfies z.ZodType<FileChange>;

const fileIo = z.object({
  event: z.literal('IO'), path: z.string(), read_bytes: count, read_calls: count, written_bytes: count, write_calls: count,
  span_ms: z.number(), truncated: z.boolean(), ...masked,
}) satisfies z.ZodType<FileIo>;

const netSocket = z.object({
  event: z.enum(['CONNECT', 'ACCEPT', 'BIND', 'LISTEN', 'CLOSE', 'KTLS']), protocol: z.enum(['tcp', 'udp', 'unix', 'other']),
  fd: z.int().nullable(), connection: z.string(), endpoint, host: z.string().nullable(), error: errno, duration_ms: z.number().nullable(),
  read_bytes: count.nullable(), written_bytes: count.nullable(), existing: z.boolean(), speaks: spoken.nullable().default(null), ...resettable,
}) satisfies z.ZodType<NetSocket>;

const netProtocol = z.object({
  event: z.literal('PROTOCOL'), connection: z.string(), endpoint: endpoint.nullable(), tls: z.boolean(), speaks: spoken,
}) satisfies z.ZodType<NetProtocol>;

const netDns = z.object({
  event: z.literal('DNS'), kind: z.enum(['query', 'answer']), name: z.string(), type: z.string(), code: z.string().nullable(),
  answers: z.array(z.object({ name: z.string(), type: z.string(), value: z.string(), ttl_s: count })), server: address,
}) satisfies z.ZodType<NetDns>;

const netHello = z.object({
  event: z.literal('HELLO'), endpoint, role: z.enum(['client', 'server']).nullable().default(null), existing: z.boolean().default(false),
  server_name: z.string().nullable(), alpn: z.array(z.string()), version: z.string().nullable(),
}) satisfies z.ZodType<NetHello>;

const netChunk = z.object({
  event: z.literal('DATA'), connection: z.string(), position: count, endpoint, ...chunk,
}) satisfies z.ZodType<OnDisk<NetChunk>>;

const netEnd = z.object({ event: z.literal('END'), connection: z.string(), ...resettable }) satisfies z.ZodType<NetEnd>;

const signal = z.object({
  signal: z.string(), number: count, sent_by: z.enum(['process', 'kernel']), sender_pid: count.nullable(),
  sender_comm: z.string().nullable(), sender: key.nullable(), target_pid: z.int(), target_comm: z.string(), target: key.nullable(),
  outcome: z.enum(['delivered', 'ignored', 'pending', 'overflow', 'failed']), error: errno,
}) satisfies z.ZodType<SignalData>;

const readline = z.object({ line: z.string(), truncated: z.boolean(), ...masked }) satisfies z.ZodType<ReadlineData>;

const peer = z.object({
  pid: count, process: key, comm: z.string(), fd: z.int(), evidence: z.enum(['used', 'held']),
}) satisfies z.ZodType<StdioPeer>;

const stdio = z.object({
  fd: z.int(), role: z.enum(['stdin', 'stdout', 'stderr', 'other']), target: z.string(),
  peer_target: z.string().nullable().default(null), peers: z.array(peer).nullable().default(null), ...chunk, ...masked,
}) satisfies z.ZodType<OnDisk<StdioData>>;

const headers = z.record(z.string(), z.array(z.string()));
const headerList = z.array(z.tuple([z.string().nullable(), z.string().nullable()]));

const protobufField: z.ZodType<ProtobufField> = z.object({
  number: count, wire: z.enum(['varint', 'fixed64', 'bytes', 'fixed32', 'group']), value: z.string(), encoding,
  get fields() {
    return z.array(protobufField).nullable();
  },
  guessed: z.boolean(),
});
const grpcMessages = z.array(z.object({ bytes: count, compressed: z.boolean(), fields: z.array(protobufField).nullable() }));
const grpc = z.object({
  service: z.string(), method: z.string(), status: count.nullable(), status_name: z.string().nullable(), message: z.string().nullable(),
  request_messages: grpcMessages, response_messages: grpcMessages, truncated: z.boolean(),
}) satisfies z.ZodType<GrpcData>;

const interimResponse = z.object({ status: count, headers, since_request_ms: z.number().nullable() }) satisfies z.ZodType<InterimResponse>;

const flag = z.enum([
  'bare-carriage-return', 'bare-line-feed', 'mixed-line-ends', 'folded-line', 'space-before-colon', 'bad-header-name', 'line-without-colon',
  'length-with-transfer-coding', 'lengths-differ', 'length-repeated', 'bad-length',
  'transfer-coding-in-http-1.0', 'chunked-repeated', 'chunked-not-last', 'transfer-coding-without-chunked',
  'chunk-extension', 'chunk-size-padded', 'chunk-size-overflow', 'malformed-chunk',
  'transfer-coding-in-http-2', 'connection-field-in-http-2', 'body-not-sent',
  'body-length-differs', 'line-break-in-value', 'upper-case-name', 'pseudo-field-repeated', 'pseudo-field-late', 'pseudo-field-unknown', 'pseudo-field-missing',
]) satisfies z.ZodType<HttpFlag>;

const http = z.object({
  exchange: z.string(), connection: z.string(), stream: count.nullable().default(null), pushed: z.boolean().default(false),
  endpoint: someEndpoint, tls: z.boolean().default(true), state: z.enum(['complete', 'aborted', 'partial']),
  reason: z.string().nullable(), pairing: z.enum(['proven', 'inferred']).nullable().default(null), role: z.enum(['client', 'server']), method: z.string(), url: z.string(),
  path: z.string(), host: z.string().nullable(), http_version: z.string(), status: count.nullable(),
  status_text: z.string().nullable(), request_headers: headers, request_header_list: headerList,
  response_headers: headers, response_header_list: headerList, flags: z.array(z.templateLiteral([z.enum(['request', 'response']), '.', flag])).default([]),
  interim: z.array(interimResponse).default([]), request_trailers: headerList.default([]),
  response_trailers: headerList.default([]), unknown_fields: count.default(0),
  request_body: z.string().nullable(), request_body_encoding: encoding, request_body_bytes: count,
  request_body_truncated: z.boolean(), request_body_coding: z.string().nullable().default(null), request_decoded_bytes: count.default(0),
  response_body_coding: z.string().nullable().default(null), response_decoded_bytes: count.default(0), response_body: z.string().nullable(), response_body_encoding: encoding,
  response_body_bytes: count, response_body_truncated: z.boolean(), request_end_ms: z.number().nullable().default(null),
  response_start_ms: z.number().nullable().default(null), latency_ms: z.number().nullable(),
  ttfb_ms: z.number().nullable(), sse_events: count.nullable(), grpc: grpc.nullable().default(null), redacted: count, ...masked,
}) satisfies z.ZodType<HttpData>;

const body = z.object({
  exchange: z.string(), connection: z.string(), url: z.string(), side: z.enum(['request', 'response']), index: count.exactOptional(), offset: count, bytes: count,
  body: z.string(), body_encoding: encoding, redacted: count, ...masked,
}) satisfies z.ZodType<BodyData>;

const sse = z.object({
  exchange: z.string(), connection: z.string(), url: z.string(), index: count, event: z.string(), data: z.string(),
  last_event_id: z.string().nullable(), retry_ms: count.nullable(), since_request_ms: z.number().nullable(), truncated: z.boolean(), ...masked,
}) satisfies z.ZodType<SseData>;

const websocket = z.object({
  exchange: z.string(), connection: z.string(), url: z.string(), index: count, direction: z.enum(['read', 'write']),
  opcode: z.enum(['text', 'binary', 'close', 'ping', 'pong']).nullable(), body: z.string().nullable(), body_encoding: encoding,
  bytes: count, decoded_bytes: count, fragments: count, compressed: z.boolean(), truncated: z.boolean(),
  close_code: count.nullable(), close_reason: z.string().nullable(), state: z.enum(['complete', 'aborted', 'partial']),
  reason: z.string().nullable(), redacted: count, ...masked,
}) satisfies z.ZodType<WebsocketData>;

const mcp = z.object({
  kind: z.enum(['call', 'notification', 'reply']), call: z.string(), framing: z.enum(['line', 'content-length']), role: z.enum(['client', 'server']),
  target: z.string(), peer: z.object({ pid: count, comm: z.string(), process: key.nullable(), evidence: z.enum(['used', 'held']).default('used') }).nullable(),
  id: z.union([z.string(), z.number()]).nullable(), method: z.string().nullable(), params: z.string().nullable(), result: z.string().nullable(),
  error: z.object({ code: z.number().nullable(), message: z.string() }).nullable(), truncated: z.boolean(),
  state: z.enum(['complete', 'aborted', 'partial']), reason: z.string().nullable(), pairing: z.enum(['proven', 'inferred']).nullable().default(null), latency_ms: z.number().nullable(), ...masked,
}) satisfies z.ZodType<McpData>;

const system = z.object({
  event: z.enum(['PROCESS', 'TREE']), processes: count, cpu_percent: z.number().nonnegative(), user_ms: z.number(), system_ms: z.number(),
  rss_bytes: count, threads: count, interval_ms: count, over: z.array(z.enum(['cpu', 'memory'])),
}) satisfies z.ZodType<SystemData>;

const probe = z.object({
  subject: z.enum(['readline', 'io_uring']).exactOptional(),
  path: z.string(), place: z.string().nullable().default(null), build_id: z.string().nullable().default(null), library: namedLibrary.nullable(),
  status: z.enum(['attached', 'absent', 'failed', 'suspect', 'unseen']),
  method: z.enum(['internal', 'symbol', 'locator', 'pclntab', 'build-id']).nullable(), functions: z.array(z.string()),
  reason: z.string().nullable(),
  steps: z.array(z.object({ step: z.enum(['symbols', 'pclntab', 'locator', 'build-id', 'attach']), outcome: z.string() })).default([]),
}) satisfies z.ZodType<ProbeData>;

const loss = z.object({
  stage: z.string(), of: z.string(), cause: z.string(), lost: count, bytes: count, connection: z.string().nullable(),
  cpus: z.array(z.object({ cpu: count, lost: count, bytes: count })).exactOptional(),
}) satisfies z.ZodType<LossData>;

const log = z.object({ level: z.enum(['info', 'warn', 'error']), message: z.string() }) satisfies z.ZodType<LogData>;

/** `data` of each source. */
export const dataSchemas = {
  process: z.discriminatedUnion('event', [fork, exec, exit]),
  tls: z.discriminatedUnion('event', [tlsChunk, tlsClose, tlsEndpoint, tlsHandshake]),
  file: z.discriminatedUnion('event', [fileChange, fileIo]),
  net: z.discriminatedUnion('event', [netSocket, netProtocol, netDns, netHello, netChunk, netEnd]),
  stdio, signal, readline, http, body, sse, websocket, mcp, system, probe, loss, log,
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
