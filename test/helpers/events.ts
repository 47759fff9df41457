/** One valid event of every kind, and stdio events of chosen bytes, for tests. */
import type { ChunkData, Event, EventOf, StdioEvent } from '../../src/event.ts';
import { encodeBatch } from '../../src/event-json.ts';
import type { EventBatch } from '../../src/sinks/sink.ts';
import { nanoseconds } from '../../src/time.ts';

export const PROCESS = 'aa11bb22cc33.dd44ee55.k3j2.4321';

export function chunk(payload: Uint8Array): ChunkData {
  return {
    direction: 'write', len: payload.length, total: payload.length, offset: 0, truncated: false, fault: false, tid: 4321, payload,
  };
}

const PEER = { pid: 77, process: PROCESS, comm: 'cat', fd: 0, evidence: 'used' } as const;

export function stdioEvent(data: ChunkData = chunk(Buffer.from('hello "world"\n')), sequence = 1): StdioEvent {
  return eventOf('stdio', { fd: 1, role: 'stdout', target: 'pipe:[77]', peer_target: 'pipe:[77]', peers: [PEER], ...data }, sequence);
}

/** As the pipeline gives it to sinks, in both forms. */
export function eventBatch(events: readonly Event[]): EventBatch {
  return { count: events.length, events, jsonl: encodeBatch(events) };
}

export function eventOf<const S extends string, const D>(source: S, data: D, sequence = 1): EventOf<S, D> {
  return {
    timestamp: nanoseconds(1_790_000_000_123_456_789n + BigInt(sequence)),
    source, pid: 4321, comm: 'node', data, id: `aa11bb22cc33.dd44ee55.q1w2e3.${sequence}`, process: PROCESS, session: PROCESS,
  };
}

export function httpData() {
  return {
    exchange: 'c1#1', connection: 'c1', state: 'complete', reason: null, pairing: 'proven', role: 'client', method: 'POST',
    url: 'https://api.example.test/v1/messages', path: '/v1/messages', host: 'api.example.test', http_version: '1.1',
    status: 200, status_text: 'OK', request_headers: { accept: ['*/*'], 'x-api-key': ['******'] },
    request_header_list: [['Accept', '*/*'], ['X-Api-Key', '******']], response_headers: {}, response_header_list: [],
    endpoint: ENDPOINT, tls: true, stream: null, pushed: false, flags: ['response.folded-line'], interim: [{ status: 103, headers: { link: ['</a>'] }, since_request_ms: 12.5 }],
    request_trailers: [], response_trailers: [], unknown_fields: 0, grpc: null,
    request_body: '{"a":"é"}', request_body_encoding: 'utf8', request_body_bytes: 10, request_body_truncated: false,
    request_body_coding: null, request_decoded_bytes: 0, response_body_coding: null, response_decoded_bytes: 0,
    response_body: null, response_body_encoding: 'utf8', response_body_bytes: 0, response_body_truncated: false,
    request_end_ms: 20, response_start_ms: 100, latency_ms: 1204.5, ttfb_ms: 80, sse_events: null, redacted: 1,
  } as const;
}

export const ENDPOINT = {
  family: 'ipv4', local: { address: '192.0.2.7', port: 40_000 }, remote: { address: '192.0.2.1', port: 443 }, socket: '4711',
} as const;

export function everySource(): Event[] {
  const bytes = chunk(Buffer.of(0xff, 0x00, 0x0a));
  return [
    eventOf('process', { event: 'FORK', ppid: 1, parent: PROCESS }),
    eventOf('process', {
      event: 'EXEC', ppid: 1, parent: PROCESS, filename: '/usr/bin/curl', argv: ['curl', '-s', 'https://example.test/?q=é'],
      cwd: '/tmp', uid: 1000, gid: 1000, exe: '/usr/bin/curl', cgroup: '/user.slice', container: null, ancestors: [{ pid: 1, process: PROCESS, comm: 'systemd' }],
      truncated: false, existing: false,
    }),
    eventOf('process', {
      event: 'EXIT', ppid: 1, exit_code: null, signal: 'SIGKILL', core_dumped: false, duration_ms: 1.5,
      peak_rss_bytes: 4096, peak_rss_upper_bound: true, user_ms: 1, system_ms: 0.25, read_bytes: 4096, written_bytes: null,
    }),
    eventOf('tls', { event: 'DATA', connection: 'c1', position: 512, library: 'openssl', endpoint: null, server_name: null, ...bytes }),
    eventOf('tls', { event: 'DATA', connection: 'c1', position: 515, library: 'openssl', endpoint: ENDPOINT, server_name: 'example.test', ...chunk(Buffer.alloc(0)), withheld: 12 }),
    eventOf('tls', { event: 'CLOSE', connection: 'c1' }),
    eventOf('tls', { event: 'ENDPOINT', connection: 'c1', endpoint: ENDPOINT, server_name: 'example.test', evidence: 'proven', library: 'openssl' }),
    eventOf('tls', { event: 'HANDSHAKE', connection: 'c1', endpoint: ENDPOINT, server_name: null, alpn: ['h2', 'http/1.1'], ok: true, latency_ms: 12.5, library: 'openssl' }),
    eventOf('file', {
      event: 'OPEN', path: '/tmp/é', target: null, error: null, flags: ['write', 'create'], created: true, mode: 0o644, length: null, uid: null, gid: null,
      count: 2, span_ms: 1.5, truncated: false,
    }),
    eventOf('file', {
      event: 'IO', path: '/tmp/é', read_bytes: 0, read_calls: 0, written_bytes: 12, write_calls: 3, span_ms: 2, truncated: false,
    }),
    eventOf('net', {
      event: 'CONNECT', protocol: 'tcp', fd: 5, connection: 's1', endpoint: ENDPOINT, host: 'example.test', error: 'ECONNREFUSED', duration_ms: 3,
      read_bytes: null, written_bytes: null, existing: false, speaks: null,
    }),
    eventOf('net', { event: 'PROTOCOL', connection: 's1', endpoint: ENDPOINT, tls: true, speaks: 'postgresql' }),
    eventOf('net', {
      event: 'DNS', kind: 'answer', name: 'example.test', type: 'A', code: 'NOERROR',
      answers: [{ name: 'example.test', type: 'A', value: '192.0.2.1', ttl_s: 60 }], server: { address: '192.0.2.53', port: 53 },
    }),
    eventOf('net', { event: 'HELLO', endpoint: ENDPOINT, role: 'client', existing: false, server_name: 'example.test', alpn: ['h2', 'http/1.1'], version: '1.3' }),
    eventOf('net', { event: 'DATA', connection: 's1', position: 7, endpoint: ENDPOINT, ...bytes }),
    eventOf('net', { event: 'END', connection: 's1', reset: { by: 'peer', unfinished: ['read', 'write'] } }),
    eventOf('signal', {
      signal: 'SIGTERM', number: 15, sent_by: 'process', sender_pid: 4321, sender_comm: 'node', sender: PROCESS,
      target_pid: 77, target_comm: 'sleep', target: PROCESS, outcome: 'delivered', error: null,
    }),
    eventOf('signal', {
      signal: 'SIGPIPE', number: 13, sent_by: 'kernel', sender_pid: null, sender_comm: null, sender: null,
      target_pid: 4321, target_comm: 'node', target: PROCESS, outcome: 'ignored', error: null,
    }),
    eventOf('readline', { line: 'ls -l', truncated: false }),
    stdioEvent(),
    { ...stdioEvent(bytes), process: null, session: null },
    eventOf('http', httpData()),
    eventOf('body', { exchange: 'c1#1', connection: 'c1', url: 'https://api.example.test/', side: 'response', offset: 8_388_608, bytes: 3, body: 'é!', body_encoding: 'utf8', redacted: 0 }),
    eventOf('sse', {
      exchange: 'c1#1', connection: 'c1', url: 'https://api.example.test/', index: 0, event: 'message', data: '{"x":1}',
      last_event_id: null, retry_ms: null, since_request_ms: 12.25, truncated: false,
    }),
    eventOf('websocket', {
      exchange: 'c1#1', connection: 'c1', url: 'https://api.example.test/live', index: 0, direction: 'read', opcode: 'text', body: '{"x":1}',
      body_encoding: 'utf8', bytes: 9, decoded_bytes: 7, fragments: 1, compressed: true, truncated: false, close_code: null, close_reason: null,
      state: 'complete', reason: null, redacted: 0,
    }),
    eventOf('mcp', {
      kind: 'call', call: 'p/0', framing: 'line', role: 'client', target: 'pipe:[77]', peer: { pid: 9, comm: 'server', process: PROCESS, evidence: 'used' }, id: 1,
      method: 'tools/call', params: '{"name":"read"}', result: '{}', error: null, truncated: false, state: 'complete', reason: null, pairing: 'proven', latency_ms: 1.5,
    }),
    eventOf('system', {
      event: 'TREE', processes: 3, cpu_percent: 152.5, user_ms: 2900, system_ms: 150, rss_bytes: 123_457_536, threads: 14, interval_ms: 2000, over: ['cpu'],
    }),
    eventOf('system', {
      event: 'PROCESS', processes: 1, cpu_percent: 0, user_ms: 0, system_ms: 0, rss_bytes: 4096, threads: 1, interval_ms: 2003, over: [],
    }),
    eventOf('probe', {
      path: '/usr/lib/libssl.so.3', place: null, library: 'openssl', status: 'attached', build_id: 'ab12', method: 'internal', functions: ['SSL_read'], reason: null,
      steps: [{ step: 'symbols', outcome: 'found' }],
    }),
    eventOf('probe', {
      subject: 'io_uring', path: '/usr/bin/node', place: null, library: null, status: 'absent', build_id: null, method: null, functions: [], reason: 'pid 4321 (node) uses io_uring', steps: [],
    }),
    eventOf('loss', { stage: 'kernel', of: 'tls', cause: 'ring full', lost: 3, bytes: 900, connection: null, cpus: [{ cpu: 0, lost: 1, bytes: 300 }, { cpu: 3, lost: 2, bytes: 600 }] }),
    eventOf('log', { level: 'warn', message: 'could not do it' }),
  ];
}
