/** Event lines as a collector writes them. */

export const COLLECTOR = 'host1.boot1.coll1';
export const SESSION = 'host1.boot1.1a.100';
/** Long past on no test's clock: today, on a whole second. */
export const START_NS = BigInt(Math.floor(Date.now() / 1000)) * 1_000_000_000n;

export interface LineParts {
  readonly sequence: number;
  readonly timestamp?: bigint;
  readonly source?: string;
  readonly pid?: number;
  readonly comm?: string;
  readonly process?: string | null;
  readonly session?: string | null;
  readonly collector?: string;
  readonly data?: object;
}

export function line(parts: LineParts): string {
  const {
    sequence, timestamp = START_NS + BigInt(sequence) * 1001n, source = 'stdio', pid = 100, comm = 'agent',
    process = SESSION, session = SESSION, collector = COLLECTOR, data = { payload: `number ${sequence}` },
  } = parts;
  const rest = { source, pid, comm, data, id: `${collector}.${sequence}`, process, session };
  return `{"timestamp":${timestamp},${JSON.stringify(rest).slice(1)}\n`;
}

export function batch(from: number, count: number, parts: Omit<LineParts, 'sequence'> = {}): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, index) => line({ ...parts, sequence: from + index })).join(''));
}

export const HTTP_DATA = {
  exchange: 'c1.0', connection: 'c1', state: 'complete', reason: null, pairing: 'proven', role: 'client', method: 'POST',
  url: 'https://api.example.com/v1/messages', path: '/v1/messages', host: 'api.example.com', http_version: '1.1',
  status: 200, status_text: 'OK', request_headers: { host: ['api.example.com'] }, request_header_list: [['Host', 'api.example.com']],
  response_headers: {}, response_header_list: [], request_body: '{"model":"m"}', request_body_encoding: 'utf8',
  request_body_bytes: 13, request_body_truncated: false, response_body: 'ok', response_body_encoding: 'utf8',
  response_body_bytes: 2, response_body_truncated: false, latency_ms: 12.5, ttfb_ms: 3.25, sse_events: null, redacted: 0,
};

/** A shell that starts one command: fork, exec, exit of both. */
export function processLines(): string {
  const child = 'host1.boot1.1b.101';
  const common = { source: 'process' };
  return [
    line({ ...common, sequence: 1, data: { event: 'EXEC', ppid: 1, parent: 'host1.boot1.0.1', filename: '/bin/sh', argv: ['sh', '-c', 'ls'], cwd: '/home/u', uid: 1000, gid: 1000, truncated: false, existing: false } }),
    line({ ...common, sequence: 2, pid: 101, process: child, data: { event: 'FORK', ppid: 100, parent: SESSION } }),
    line({ ...common, sequence: 3, pid: 101, process: child, comm: 'ls', data: { event: 'EXEC', ppid: 100, parent: SESSION, filename: '/bin/ls', argv: ['ls'], cwd: '/home/u', uid: 1000, gid: 1000, truncated: false, existing: false } }),
    line({ ...common, sequence: 4, pid: 101, process: child, comm: 'ls', data: { event: 'EXIT', ppid: 100, exit_code: 2, signal: null, core_dumped: false, duration_ms: 3, peak_rss_bytes: 4096, peak_rss_upper_bound: false, user_ms: 1, system_ms: 1 } }),
    line({ ...common, sequence: 5, data: { event: 'EXIT', ppid: 1, exit_code: null, signal: 'SIGTERM', core_dumped: false, duration_ms: 5, peak_rss_bytes: 8192, peak_rss_upper_bound: false, user_ms: 1, system_ms: 1 } }),
    line({ sequence: 6, source: 'http', data: HTTP_DATA }),
    line({ sequence: 7, source: 'loss', data: { stage: 'kernel', of: 'tls', cause: 'ring_full', lost: 3, bytes: 300, connection: null } }),
  ].join('');
}
