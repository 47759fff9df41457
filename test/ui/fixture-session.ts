/**
 * A made-up run of a coding agent, as the hub's API would tell it: model calls
 * with streamed replies, tools that start processes, an MCP server on stdio,
 * a loss. Deterministic, about two thousand events in 90 seconds.
 */
import type { ApiEvent, Process, Session } from '../../src/hub/api.ts';

const MS = 1_000_000n;

export interface FixtureSession {
  readonly session: Session;
  readonly processes: readonly Process[];
  /** Full events, by time. */
  readonly events: readonly ApiEvent[];
}

export interface FixtureOptions {
  readonly startNs: bigint;
  /** Keys begin with it, so that two sessions in one hub differ. */
  readonly name: string;
  readonly running: boolean;
  readonly pid: number;
}

interface Actor {
  readonly key: string;
  readonly pid: number;
  readonly comm: string;
}

export function buildAgentSession(options: FixtureOptions): FixtureSession {
  return new Recorder(options).record();
}

class Recorder {
  readonly #options: FixtureOptions;
  readonly #events: ApiEvent[] = [];
  readonly #processes: Process[] = [];
  readonly #root: string;
  #sequence = 0;
  #pid: number;
  #seed = 7;

  constructor(options: FixtureOptions) {
    this.#options = options;
    this.#root = `${options.name}.boot.1.${options.pid}`;
    this.#pid = options.pid;
  }

  record(): FixtureSession {
    const agent = this.#spawn({ at: 0, parent: null, comm: 'claude', argv: ['/usr/local/bin/claude', '--model', 'opus', 'fix the failing checkout test'], cwd: '/home/dev/shop-api' });
    this.#probe(12, 'attached', '/usr/local/bin/claude', null);
    this.#probe(13, 'absent', '/usr/bin/bash', 'no TLS library is mapped');
    const server = this.#spawn({ at: 240, parent: agent, comm: 'node', argv: ['node', '/opt/mcp/filesystem-server.js', '/home/dev/shop-api'], cwd: '/home/dev/shop-api' });
    this.#mcp(agent, server, 420, 'initialize');
    this.#mcp(agent, server, 510, 'tools/list');
    let at = 900;
    for (let turn = 0; turn < 7; turn += 1) at = this.#turn(agent, server, at, turn);
    if (!this.#options.running) {
      this.#exit(server, at + 300, { code: null, signal: 'SIGTERM', startedAt: 240 });
      this.#exit(agent, at + 420, { code: 0, signal: null, startedAt: 0 });
    }
    this.#events.sort((a, b) => (BigInt(a.timestamp) < BigInt(b.timestamp) ? -1 : 1));
    return { session: this.#session(at + 420), processes: this.#processes, events: this.#events };
  }

  #turn(agent: Actor, server: Actor, start: number, turn: number): number {
    const end = this.#modelCall(agent, start, turn);
    const at = end + 60;
    const commands = [
      { argv: ['/bin/bash', '-c', 'npm test -- checkout'], child: ['node', 'node_modules/.bin/jest', 'checkout'], ms: 5200, code: 1 },
      { argv: ['/bin/bash', '-c', 'git status --short'], child: ['git', 'status', '--short'], ms: 140, code: 0 },
      { argv: ['/bin/bash', '-c', 'rg -n "applyDiscount" src'], child: ['rg', '-n', 'applyDiscount', 'src'], ms: 90, code: 0 },
      { argv: ['/bin/bash', '-c', 'curl -s https://registry.example.org/dinero.js'], child: ['curl', '-s', 'https://registry.example.org/dinero.js'], ms: 700, code: 0 },
      { argv: ['/bin/bash', '-c', 'sleep 30'], child: ['sleep', '30'], ms: 2400, code: null },
      { argv: ['/bin/bash', '-c', 'npm test -- checkout'], child: ['node', 'node_modules/.bin/jest', 'checkout'], ms: 4100, code: 0 },
      { argv: ['/bin/bash', '-c', 'git commit -am "cart: round once"'], child: ['git', 'commit', '-am', 'cart: round once'], ms: 210, code: 0 },
    ];
    const command = commands[turn % commands.length];
    if (command === undefined) return at;
    this.#mcp(agent, server, at + 5, 'tools/call');
    const shell = this.#spawn({ at: at + 40, parent: agent, comm: 'bash', argv: command.argv, cwd: '/home/dev/shop-api' });
    const child = this.#spawn({ at: at + 55, parent: shell, comm: command.child[0] ?? '', argv: command.child, cwd: '/home/dev/shop-api' });
    if (child.comm === 'curl') this.#plainCall(child, at + 80);
    if (child.comm === 'node') this.#testRun(child, at + 80, command.ms, command.code ?? 0);
    else this.#stdio(child, at + 70, 'stdout', `${command.child.join(' ')}\n M src/cart.ts\n`);
    if (turn === 4) this.#loss(at + 900);
    this.#exit(child, at + 55 + command.ms, { code: command.code, signal: command.code === null ? 'SIGKILL' : null, startedAt: at + 55 });
    this.#exit(shell, at + 70 + command.ms, { code: command.code ?? 137, signal: null, startedAt: at + 40 });
    return at + command.ms + 260;
  }

  #modelCall(agent: Actor, at: number, turn: number): number {
    const ttfb = 700 + this.#random(1400);
    const pieces = 90 + this.#random(140);
    const connection = `${agent.key}/tls/2`;
    const exchange = `${connection}#${turn}`;
    const url = 'https://api.anthropic.com/v1/messages';
    const words = 'The test fails because the discount is rounded twice: once per line and once for the total. I will keep full precision per line and round the sum. '.split(/(?<= )/);
    const stream: { name: string; data: unknown; at: number }[] = [
      { name: 'message_start', at: ttfb, data: { type: 'message_start', message: { id: `msg_${turn}`, model: 'claude-opus', usage: { input_tokens: 18_204 + turn * 900, cache_read_input_tokens: 16_800 } } } },
      { name: 'content_block_start', at: ttfb + 1, data: { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } } },
    ];
    let when = ttfb;
    for (let piece = 0; piece < pieces; piece += 1) {
      when += 6 + this.#random(26) + (piece === 60 ? 900 : 0);
      stream.push({ name: 'content_block_delta', at: when, data: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: words[piece % words.length] } } });
    }
    stream.push({ name: 'content_block_start', at: when + 2, data: { type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id: `toolu_${turn}`, name: 'Bash', input: {} } } });
    stream.push({ name: 'content_block_delta', at: when + 12, data: { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"command":"npm test -- checkout",' } } });
    stream.push({ name: 'content_block_delta', at: when + 20, data: { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '"timeout":120000}' } } });
    stream.push({ name: 'message_stop', at: when + 24, data: { type: 'message_stop' } });
    for (const [index, item] of stream.entries()) {
      this.#emit(at + item.at, agent, 'sse', {
        exchange, connection, url, index, event: item.name, data: JSON.stringify(item.data), last_event_id: null, retry_ms: null, since_request_ms: item.at, truncated: false,
      });
    }
    const latency = when + 30;
    const overloaded = turn === 3;
    if (overloaded) this.#overloaded(agent, at - 600);
    this.#emit(at, agent, 'http', httpData({
      exchange, connection, method: 'POST', url, status: 200, latency, ttfb,
      requestHeaders: [['host', 'api.anthropic.com'], ['content-type', 'application/json'], ['x-api-key', '***redacted***'], ['anthropic-version', '2023-06-01'], ['user-agent', 'claude-cli/2.0']],
      responseHeaders: [['content-type', 'text/event-stream; charset=utf-8'], ['request-id', `req_${turn}`], ['transfer-encoding', 'chunked']],
      requestBody: JSON.stringify(this.#prompt(turn)),
      responseBody: stream.map((item) => `event: ${item.name}\ndata: ${JSON.stringify(item.data)}\n\n`).join(''),
      sse: stream.length,
    }));
    this.#plainJson(agent, at + 30, turn);
    return at + latency;
  }

  #prompt(turn: number): unknown {
    const messages = [{ role: 'user', content: 'fix the failing checkout test' }];
    for (let past = 0; past < turn; past += 1) {
      messages.push({ role: 'assistant', content: `I will run the tests (step ${past}).` });
      messages.push({ role: 'user', content: 'FAIL test/checkout.test.ts\n  expected 18.89, received 18.90\n'.repeat(6) });
    }
    return { model: 'claude-opus', max_tokens: 8192, stream: true, system: 'You are a careful engineer. '.repeat(40), tools: [{ name: 'Bash', input_schema: { type: 'object', properties: { command: { type: 'string' } } } }, { name: 'Edit' }, { name: 'Read' }], messages };
  }

  #plainJson(agent: Actor, at: number, turn: number): void {
    const connection = `${agent.key}/tls/3`;
    this.#emit(at, agent, 'http', httpData({
      exchange: `${connection}#${turn}`, connection, method: 'POST', url: 'https://statsig.example.com/v1/rgstr', status: 202, latency: 120 + this.#random(80), ttfb: 100,
      requestHeaders: [['host', 'statsig.example.com'], ['content-type', 'application/json']],
      responseHeaders: [['content-type', 'application/json']],
      requestBody: JSON.stringify({ events: [{ name: 'turn', turn }] }), responseBody: '{"success":true}', sse: null,
    }));
  }

  #overloaded(agent: Actor, at: number): void {
    const connection = `${agent.key}/tls/2`;
    this.#emit(at, agent, 'http', httpData({
      exchange: `${connection}#o`, connection, method: 'POST', url: 'https://api.anthropic.com/v1/messages', status: 529, latency: 310, ttfb: 300,
      requestHeaders: [['host', 'api.anthropic.com'], ['content-type', 'application/json']],
      responseHeaders: [['content-type', 'application/json'], ['retry-after', '1']],
      requestBody: '{"model":"claude-opus"}', responseBody: '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', sse: null,
    }));
  }

  #plainCall(curl: Actor, at: number): void {
    const connection = `${curl.key}/tls/5`;
    this.#emit(at, curl, 'http', httpData({
      exchange: `${connection}#0`, connection, method: 'GET', url: 'https://registry.example.org/dinero.js', status: 200, latency: 420, ttfb: 260,
      requestHeaders: [['host', 'registry.example.org'], ['user-agent', 'curl/7.88.1'], ['accept', '*/*']],
      responseHeaders: [['content-type', 'application/json'], ['etag', '"1f2e"']],
      requestBody: null, responseBody: JSON.stringify({ name: 'dinero.js', 'dist-tags': { latest: '2.0.0' }, versions: {} }), sse: null,
    }));
  }

  #testRun(node: Actor, at: number, lastsMs: number, code: number): void {
    const lines = 60;
    for (let line = 0; line < lines; line += 1) {
      const when = at + (lastsMs - 200) * ((line + this.#random(3) / 3) / (lines + 1));
      this.#stdio(node, when, line % 9 === 8 ? 'stderr' : 'stdout', `PASS test/unit/case-${line}.test.ts (${20 + this.#random(90)} ms)\n`);
    }
    if (code !== 0) this.#stdio(node, at + lastsMs - 120, 'stderr', 'FAIL test/checkout.test.ts\n  ● applies the discount once\n    expected 18.89, received 18.90\n');
  }

  #mcp(agent: Actor, server: Actor, at: number, method: string): void {
    const request = `${JSON.stringify({ jsonrpc: '2.0', id: this.#sequence, method, params: { name: 'read_file', arguments: { path: 'src/cart.ts' } } })}\n`;
    const answer = `${JSON.stringify({ jsonrpc: '2.0', id: this.#sequence, result: { content: [{ type: 'text', text: 'export function applyDiscount() {}' }] } })}\n`;
    this.#stdio(server, at, 'stdin', request);
    this.#stdio(server, at + 14, 'stdout', answer);
    void agent;
  }

  #stdio(actor: Actor, at: number, role: 'stdin' | 'stdout' | 'stderr', payload: string): void {
    const fd = { stdin: 0, stdout: 1, stderr: 2 }[role];
    const len = Buffer.byteLength(payload);
    this.#emit(at, actor, 'stdio', {
      fd, role, target: `pipe:[${40_000 + fd}]`, direction: role === 'stdin' ? 'read' : 'write', len, total: len, offset: 0,
      truncated: false, fault: false, tid: actor.pid, payload, payload_encoding: 'utf8',
    });
  }

  #loss(at: number): void {
    this.#emit(at, { key: '', pid: 0, comm: '' }, 'loss', { stage: 'kernel', of: 'stdio', cause: 'ring buffer full', lost: 312, bytes: 79_872, connection: null });
  }

  #probe(at: number, status: string, path: string, reason: string | null): void {
    this.#emit(at, { key: '', pid: 0, comm: '' }, 'probe', {
      path, library: status === 'attached' ? 'boringssl' : null, status, method: status === 'attached' ? 'internal' : null,
      functions: status === 'attached' ? ['ssl_read_internal', 'ssl_write_internal'] : [], reason,
    });
  }

  #spawn(of: { at: number; parent: Actor | null; comm: string; argv: readonly string[]; cwd: string }): Actor {
    const actor = { key: `${this.#options.name}.boot.1.${this.#pid}`, pid: this.#pid, comm: of.comm };
    this.#pid += 1 + this.#random(4);
    const parent = of.parent?.key ?? `${this.#options.name}.boot.0.900`;
    const ppid = of.parent?.pid ?? 900;
    this.#emit(of.at, { ...actor, comm: of.parent?.comm ?? 'bash' }, 'process', { event: 'FORK', ppid, parent });
    this.#emit(of.at + 1, actor, 'process', {
      event: 'EXEC', ppid, parent, filename: of.argv[0]?.startsWith('/') === true ? of.argv[0] : `/usr/bin/${of.argv[0]}`, argv: of.argv, cwd: of.cwd, uid: 1000, gid: 1000, truncated: false, existing: false,
    });
    this.#processes.push({
      process: actor.key, session: this.#root, pid: actor.pid, ppid, parent, comm: of.comm, filename: of.argv[0] ?? null, argv: of.argv, cwd: of.cwd, uid: 1000,
      start: this.#time(of.at), end: null, exit_code: null, signal: null, peak_rss_bytes: null,
    });
    return actor;
  }

  #exit(actor: Actor, at: number, outcome: { code: number | null; signal: string | null; startedAt: number }): void {
    const rss = (8 + this.#random(220)) * 1_048_576;
    this.#emit(at, actor, 'process', {
      event: 'EXIT', ppid: 0, exit_code: outcome.code, signal: outcome.signal, core_dumped: false, duration_ms: at - outcome.startedAt,
      peak_rss_bytes: rss, peak_rss_upper_bound: false, user_ms: 40, system_ms: 12,
    });
    const index = this.#processes.findIndex((process) => process.process === actor.key);
    const process = this.#processes[index];
    if (process !== undefined) this.#processes[index] = { ...process, end: this.#time(at), exit_code: outcome.code, signal: outcome.signal, peak_rss_bytes: rss };
  }

  #emit(at: number, actor: Actor, source: string, data: Record<string, unknown>): void {
    this.#sequence += 1;
    this.#events.push({
      timestamp: this.#time(at), source, pid: actor.pid, comm: actor.comm, data,
      id: `${this.#options.name}.boot.coll.${this.#sequence}`, process: actor.key === '' ? null : actor.key, session: source === 'probe' ? null : this.#root,
    });
  }

  #session(endMs: number): Session {
    return {
      session: this.#root, host: 'dev1', pid: this.#options.pid, comm: 'claude', command: ['/usr/local/bin/claude', '--model', 'opus', 'fix the failing checkout test'],
      cwd: '/home/dev/shop-api', start: this.#time(0), end: this.#options.running ? null : this.#time(endMs), exit_code: this.#options.running ? null : 0, signal: null,
      last: this.#events.at(-1)?.timestamp ?? this.#time(0), events: this.#events.length, processes: this.#processes.length,
      exchanges: this.#events.filter((event) => event.source === 'http').length, lost: 312,
    };
  }

  #time(atMs: number): string {
    return (this.#options.startNs + BigInt(Math.round(atMs * 1000)) * (MS / 1000n)).toString();
  }

  #random(below: number): number {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((this.#seed / 2_147_483_648) * below);
  }
}

interface HttpFacts {
  readonly exchange: string;
  readonly connection: string;
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly latency: number;
  readonly ttfb: number;
  readonly requestHeaders: readonly (readonly [string, string])[];
  readonly responseHeaders: readonly (readonly [string, string])[];
  readonly requestBody: string | null;
  readonly responseBody: string | null;
  readonly sse: number | null;
}

function httpData(facts: HttpFacts): Record<string, unknown> {
  const url = new URL(facts.url);
  const map = (list: HttpFacts['requestHeaders']) => Object.fromEntries(list.map(([name, value]) => [name, [value]]));
  return {
    exchange: facts.exchange, connection: facts.connection, state: 'complete', reason: null, pairing: 'proven', role: 'client', method: facts.method, url: facts.url, path: url.pathname, host: url.host,
    http_version: '1.1', status: facts.status, status_text: facts.status === 200 ? 'OK' : '', request_headers: map(facts.requestHeaders), request_header_list: facts.requestHeaders,
    response_headers: map(facts.responseHeaders), response_header_list: facts.responseHeaders,
    request_body: facts.requestBody, request_body_encoding: 'utf8', request_body_bytes: facts.requestBody?.length ?? 0, request_body_truncated: false,
    response_body: facts.responseBody, response_body_encoding: 'utf8', response_body_bytes: facts.responseBody?.length ?? 0, response_body_truncated: false,
    latency_ms: facts.latency, ttfb_ms: facts.ttfb, sse_events: facts.sse, redacted: facts.requestHeaders.some(([, value]) => value.includes('redacted')) ? 1 : 0,
  };
}
