/**
 * The names that a filter may use, and what of an event each means. Names are
 * those of the JSON form; an unknown one is an error, because a filter that is
 * misspelt would match nothing and say nothing.
 */

import { BOOLEANS, DEEPER, NUMBERS, NUMBERS_OR_TEXT, isDeeper, shapeOf } from './shapes.ts';

/** Keys from the event down, as in `['data', 'endpoint', 'remote', 'port']`. */
export type Path = readonly string[];

export interface Field {
  /** As it is printed. */
  readonly name: string;
  /** The first one that leads to a value is taken. */
  readonly paths: readonly Path[];
}

const ENVELOPE = ['timestamp', 'source', 'pid', 'comm', 'id', 'process', 'session'] as const;

/** Every key of `data`, of whatever source; a test compares it with the schema. */
export const DATA_KEYS: readonly string[] = [
  'alpn', 'ancestors', 'answers', 'argv', 'body', 'body_encoding', 'build_id', 'bytes', 'call', 'cause', 'cgroup', 'close_code', 'close_reason', 'code', 'compressed', 'connection', 'container', 'core_dumped', 'cpu_percent',
  'count', 'cpus', 'created', 'cwd', 'data', 'decoded_bytes', 'direction', 'duration_ms', 'endpoint', 'error', 'event', 'evidence', 'exchange', 'exe', 'existing',
  'exit_code', 'fault', 'fd', 'filename', 'flags', 'fragments', 'framing', 'functions', 'gid', 'grpc', 'host', 'http_version', 'id', 'index', 'interim', 'interval_ms', 'kind',
  'last_event_id', 'latency_ms', 'len', 'length', 'level', 'library', 'line', 'lost', 'message', 'method', 'mode', 'name', 'number', 'of',
  'offset', 'ok', 'opcode', 'outcome', 'over', 'pairing', 'params', 'parent', 'path', 'payload', 'payload_encoding', 'peak_rss_bytes', 'peak_rss_upper_bound', 'peer',
  'peer_target', 'peers', 'place', 'position', 'ppid', 'processes', 'protocol', 'pushed', 'read_bytes', 'read_calls', 'reason', 'redacted',
  'request_body', 'request_body_bytes', 'request_body_coding', 'request_body_encoding', 'request_body_truncated', 'request_decoded_bytes',
  'request_end_ms', 'request_header_list', 'request_headers', 'request_trailers', 'reset', 'response_body', 'response_body_bytes', 'response_body_coding',
  'response_body_encoding', 'response_body_truncated', 'response_decoded_bytes', 'response_header_list', 'response_headers',
  'response_start_ms', 'response_trailers', 'result', 'retry_ms', 'role', 'rss_bytes', 'secrets', 'sender', 'sender_comm', 'sender_pid', 'sent_by', 'server',
  'server_name', 'side', 'signal',
  'since_request_ms', 'span_ms', 'speaks', 'sse_events', 'stage', 'state', 'status', 'status_text', 'steps', 'stream', 'subject', 'system_ms',
  'target', 'target_comm', 'target_pid', 'threads', 'tid', 'tls', 'total', 'truncated', 'ttfb_ms', 'type', 'uid', 'unknown_fields', 'url', 'user_ms',
  'version', 'withheld', 'write_calls', 'written_bytes',
];

/** Shorter words for what lies deeper. */
const ALIASES: Readonly<Record<string, readonly Path[]>> = {
  'local.address': [['data', 'endpoint', 'local', 'address']],
  'local.port': [['data', 'endpoint', 'local', 'port']],
  'remote.address': [['data', 'endpoint', 'remote', 'address'], ['data', 'server', 'address']],
  'remote.port': [['data', 'endpoint', 'remote', 'port'], ['data', 'server', 'port']],
  'request.body': [['data', 'request_body']],
  'response.body': [['data', 'response_body']],
};

const HEADER = /^(request|response)\.header\.([^\s]+)$/i;

/** null when there is no such field. */
export function fieldOf(name: string): Field | null {
  const header = HEADER.exec(name);
  if (header !== null) {
    const [, side = '', key = ''] = header;
    return { name: `${side.toLowerCase()}.header.${key.toLowerCase()}`, paths: [['data', `${side.toLowerCase()}_headers`, key.toLowerCase()]] };
  }
  const alias = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
  if (alias !== undefined) return { name, paths: alias };
  if ((ENVELOPE as readonly string[]).includes(name)) return { name, paths: [[name]] };
  const keys = name.split('.');
  // `data` alone is the text of a server-sent event.
  const path = keys[0] === 'data' && keys.length > 1 ? keys.slice(1) : keys;
  if (!DATA_KEYS.includes(path[0] ?? '') || path.includes('') || (path.length > 1 && !isDeeper(path))) return null;
  return { name, paths: [['data', ...path]] };
}

/** What a value there can be compared with; `any`: it is not known. */
export type FieldKind = 'number' | 'boolean' | 'time' | 'text' | 'any';

export function kindOf([first = '', ...keys]: Path): FieldKind {
  if (first !== 'data') return first === 'pid' ? 'number' : first === 'timestamp' ? 'time' : 'text';
  const shape = shapeOf(keys);
  if (NUMBERS.has(shape)) return 'number';
  if (BOOLEANS.has(shape)) return 'boolean';
  if (NUMBERS_OR_TEXT.has(shape)) return 'any';
  return keys.length === 1 || DEEPER.has(shape) || keys[0]?.endsWith('_headers') === true ? 'text' : 'any';
}

/** The known name that a misspelt one most likely means. */
export function nearestField(name: string): string | null {
  const bare = name.startsWith('data.') ? name.slice('data.'.length) : name;
  const deeper = [...DEEPER].filter((path) => !path.endsWith('**')).map((path) => path.replaceAll('*', '0'));
  const known = [...ENVELOPE, ...DATA_KEYS, ...Object.keys(ALIASES), ...deeper];
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(bare.toLowerCase(), candidate) })).toSorted((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best !== undefined && best.distance <= Math.max(1, Math.floor(bare.length / 3)) ? best.candidate : null;
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
