/** A made-up session of any size for the bench of the page: ten minutes of an agent with forty processes. */

const PROCESSES = 40;
const LASTS_NS = 600_000_000_000n;

export interface SessionLines {
  readonly session: string;
  /** Event lines as a collector writes them, by time. */
  readonly lines: readonly string[];
}

interface Line {
  readonly at: bigint;
  readonly source: string;
  readonly process: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export function sessionLines(collector: string, size: number): SessionLines {
  const startNs = BigInt(Date.now()) * 1_000_000n - LASTS_NS - 60_000_000_000n;
  const key = (process: number): string => `${collector}.k3.${1000 + process}`;
  const session = key(0);
  const lines = events(size).map((event, index) => {
    const comm = event.process === 0 ? 'agent' : 'tool';
    const rest = { source: event.source, pid: 1000 + event.process, comm, data: withParent(event, key), id: `${collector}.${index}`, process: key(event.process), session };
    return `{"timestamp":${startNs + event.at},${JSON.stringify(rest).slice(1)}\n`;
  });
  return { session, lines };
}

function withParent({ source, process, data }: Line, key: (process: number) => string): Readonly<Record<string, unknown>> {
  return source === 'process' ? { ...data, parent: process === 0 ? null : key(0), ppid: process === 0 ? 1 : 1000 } : data;
}

function events(size: number): readonly Line[] {
  const list: Line[] = [];
  for (let process = 0; process < PROCESSES; process++) {
    list.push({ at: BigInt(process) * 1_000_000n, source: 'process', process, data: { event: 'EXEC', filename: '/usr/bin/node', argv: ['node', `/opt/agent/part-${process}.mjs`], cwd: '/', uid: 1000 } });
  }
  for (let process = PROCESSES - 1; process >= 0; process--) {
    list.push({ at: LASTS_NS - BigInt(process) * 1_000_000n, source: 'process', process, data: { event: 'EXIT', exit_code: process % 7 === 3 ? 1 : 0, signal: null, duration_ms: 600_000, peak_rss_bytes: 1e8 } });
  }
  const rest = size - list.length;
  for (let index = 0; index < rest; index++) {
    const at = 100_000_000n + (BigInt(index) * (LASTS_NS - 200_000_000n)) / BigInt(rest);
    list.push(activity(index, at));
  }
  return list.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

/** Of fifty events one is an exchange, half are of streams and the rest output. */
function activity(index: number, at: bigint): Line {
  const process = (index * 7) % PROCESSES;
  if (index % 50 === 0) return { at, source: 'http', process, data: exchange(index) };
  if (index % 2 === 0) return { at, source: 'sse', process, data: { exchange: `x${index}`, index, event: 'content_block_delta', data: `{"type":"content_block_delta","delta":{"text":"word ${index}"}}`, since_request_ms: 120 } };
  const role = index % 11 === 0 ? 'stderr' : 'stdout';
  const payload = `line ${index} of the output of a tool, as long as such lines mostly are, more or less\n`;
  return { at, source: 'stdio', process, data: { fd: 1, role, target: 'pipe:[77]', direction: 'write', len: payload.length, total: payload.length, offset: 0, truncated: false, fault: false, tid: 1000 + process, payload, payload_encoding: 'utf8' } };
}

function exchange(index: number): Readonly<Record<string, unknown>> {
  const status = index % 1500 === 0 ? 529 : 200;
  return {
    exchange: `x${index}`, connection: 'c1', state: 'complete', reason: null, role: 'client', method: 'POST', url: 'https://api.example.com/v1/messages', path: '/v1/messages', host: 'api.example.com',
    status, request_headers: {}, response_headers: {}, request_body: '{"model":"m"}', request_body_encoding: 'utf8', request_body_bytes: 13, response_body: '{}', response_body_encoding: 'utf8', response_body_bytes: 2,
    latency_ms: 200 + (index % 4000), ttfb_ms: 150, sse_events: 25, redacted: 0,
  };
}
