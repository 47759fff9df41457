/**
 * What the fields of `data` may hold, of whatever source; a test compares it with the schema.
 * `*` stands for a place in a list, `**` for whatever there is below.
 */

/** A number, or null, and nothing else. */
export const NUMBERS: ReadonlySet<string> = new Set([
  'ancestors.*.pid', 'answers.*.ttl_s', 'bytes', 'close_code', 'count', 'cpu_percent', 'cpus.*.bytes', 'cpus.*.cpu', 'cpus.*.lost', 'decoded_bytes',
  'duration_ms', 'endpoint.local.port', 'endpoint.remote.port', 'error.code', 'exit_code', 'fd', 'fragments', 'gid', 'grpc.request_messages.*.bytes',
  'grpc.response_messages.*.bytes', 'grpc.status', 'index', 'interim.*.since_request_ms', 'interim.*.status', 'interval_ms', 'latency_ms', 'len', 'length',
  'lost', 'mode', 'number', 'offset', 'peak_rss_bytes', 'peer.pid', 'peers.*.fd', 'peers.*.pid', 'position', 'ppid', 'processes', 'read_bytes', 'read_calls',
  'redacted', 'request_body_bytes', 'request_decoded_bytes', 'request_end_ms', 'response_body_bytes', 'response_decoded_bytes', 'response_start_ms',
  'retry_ms', 'rss_bytes', 'sender_pid', 'server.port', 'since_request_ms', 'span_ms', 'sse_events', 'stream', 'system_ms', 'target_pid', 'threads', 'tid',
  'total', 'ttfb_ms', 'uid', 'unknown_fields', 'user_ms', 'withheld', 'write_calls', 'written_bytes',
]);

/** A number in some sources, text in others. */
export const NUMBERS_OR_TEXT: ReadonlySet<string> = new Set(['id', 'status']);

export const BOOLEANS: ReadonlySet<string> = new Set([
  'compressed', 'core_dumped', 'created', 'existing', 'fault', 'grpc.request_messages.*.compressed', 'grpc.response_messages.*.compressed', 'grpc.truncated',
  'ok', 'peak_rss_upper_bound', 'pushed', 'request_body_truncated', 'response_body_truncated', 'tls', 'truncated',
]);

/** Every path that goes on below a key of `data`. Parameters and results are JSON in a text, which is read where a path leads into it. */
export const DEEPER: ReadonlySet<string> = new Set([
  'alpn.*', 'ancestors.*', 'ancestors.*.comm', 'ancestors.*.pid', 'ancestors.*.process', 'answers.*', 'answers.*.name', 'answers.*.ttl_s', 'answers.*.type',
  'answers.*.value', 'argv.*', 'cpus.*', 'cpus.*.bytes', 'cpus.*.cpu', 'cpus.*.lost', 'endpoint.family', 'endpoint.local', 'endpoint.local.address',
  'endpoint.local.port', 'endpoint.remote', 'endpoint.remote.address', 'endpoint.remote.port', 'endpoint.socket', 'error.code', 'error.message', 'flags.*',
  'functions.*', 'grpc.message', 'grpc.method', 'grpc.request_messages', 'grpc.request_messages.*', 'grpc.request_messages.*.bytes',
  'grpc.request_messages.*.compressed', 'grpc.request_messages.*.fields', 'grpc.request_messages.*.fields.**', 'grpc.response_messages',
  'grpc.response_messages.*', 'grpc.response_messages.*.bytes', 'grpc.response_messages.*.compressed', 'grpc.response_messages.*.fields',
  'grpc.response_messages.*.fields.**', 'grpc.service', 'grpc.status', 'grpc.status_name', 'grpc.truncated', 'interim.*', 'interim.*.headers',
  'interim.*.headers.**', 'interim.*.since_request_ms', 'interim.*.status', 'over.*', 'params.**', 'peer.comm', 'peer.evidence', 'peer.pid', 'peer.process',
  'peers.*', 'peers.*.comm', 'peers.*.evidence', 'peers.*.fd', 'peers.*.pid', 'peers.*.process', 'request_header_list.*', 'request_header_list.*.*',
  'request_headers.**', 'request_trailers.*', 'request_trailers.*.*', 'reset.by', 'reset.unfinished', 'reset.unfinished.*', 'response_header_list.*',
  'response_header_list.*.*', 'response_headers.**', 'response_trailers.*', 'response_trailers.*.*', 'result.**', 'secrets.*', 'server.address',
  'server.port', 'steps.*', 'steps.*.outcome', 'steps.*.step',
]);

/** With `*` for each place in a list. */
export function shapeOf(keys: readonly string[]): string {
  return keys.map((key) => (/^\d+$/.test(key) ? '*' : key)).join('.');
}

/** Whether there is such a path below a known key. */
export function isDeeper(keys: readonly string[]): boolean {
  if (DEEPER.has(shapeOf(keys))) return true;
  return keys.some((_, count) => count > 0 && DEEPER.has(`${shapeOf(keys.slice(0, count))}.**`));
}
