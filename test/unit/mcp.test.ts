/** JSON-RPC over stdio: whatever the split, each call once, with its own reply. */
import { from } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { type McpLimits, createMcpCounters, mcp } from '../../analyzers/mcp.ts';
import { locateSecrets } from '../../analyzers/redact.ts';
import type { Direction, Event, McpData, StdioEvent, StdioPeer } from '../../src/event.ts';
import { nanoseconds } from '../../src/time.ts';
import { generator } from '../helpers/random.ts';

interface Said {
  readonly process?: string;
  readonly direction: Direction;
  readonly target?: string;
  readonly text: string;
  readonly role?: StdioEvent['data']['role'];
  readonly peerTarget?: string;
  readonly peers?: readonly StdioPeer[];
}

function say({ process = 'agent', direction, target = direction === 'write' ? 'pipe:[1]' : 'pipe:[2]', text, role = 'other', peerTarget, peers }: Said, timeMs = 0): StdioEvent {
  const payload = Buffer.from(text);
  return {
    timestamp: nanoseconds(BigInt(timeMs) * 1_000_000n), source: 'stdio', pid: process.length, comm: process, process, session: 's', id: 'i',
    data: { fd: 4, role, target, peer_target: peerTarget ?? null, peers: peers ?? null, direction, len: payload.length, total: payload.length, offset: 0, payload, truncated: false, fault: false, tid: 1 },
  };
}

/** One event in pieces, as calls of their own. */
function split(event: StdioEvent, size: (left: number) => number): StdioEvent[] {
  const pieces: StdioEvent[] = [];
  const { payload } = event.data;
  for (let at = 0; at < payload.length;) {
    const end = Math.min(payload.length, at + size(payload.length - at));
    pieces.push({ ...event, data: { ...event.data, payload: payload.subarray(at, end), len: end - at, total: end - at } });
    at = end;
  }
  return pieces;
}

function heard(events: readonly Event[], limits: Partial<McpLimits> = {}) {
  const found: McpData[] = [];
  const counters = createMcpCounters();
  const passed: Event[] = [];
  from(events).pipe(mcp({ nextId: () => 'x', counters, limits, locateSecrets })).subscribe((event) => {
    if (event.source === 'mcp') found.push(event.data);
    else passed.push(event);
  });
  expect(passed).toEqual(events);
  return { found, counters };
}

const rpc = (members: object): string => JSON.stringify({ jsonrpc: '2.0', ...members });
const request = rpc({ id: 1, method: 'tools/call', params: { name: 'read_file' } });
const reply = rpc({ id: 1, result: { content: [{ type: 'text', text: 'café' }] } });
const framed = (text: string): string => `Content-Length: ${Buffer.byteLength(text)}\r\nContent-Type: x\r\n\r\n${text}`;

describe('JSON-RPC over stdio', () => {
  it.each([['a line each', (text: string) => `${text}\n`, 'line'], ['after a length', framed, 'content-length']])('%s: pairs calls, at any split', (_name, frame, framing) => {
    const notification = rpc({ method: 'notifications/progress', params: [1] });
    const events = [
      say({ direction: 'write', text: frame(request) }, 10),
      say({ direction: 'read', text: frame(notification) + frame(reply) }, 30),
    ];
    for (const size of [(left: number) => left, () => 1, () => 7]) {
      const { found } = heard(events.flatMap((event) => split(event, size)));
      expect(found).toMatchObject([
        { kind: 'notification', role: 'server', method: 'notifications/progress', params: '[1]', framing },
        {
          kind: 'call', role: 'client', id: 1, method: 'tools/call', params: '{"name":"read_file"}', state: 'complete', latency_ms: 20,
          result: '{"content":[{"type":"text","text":"café"}]}', error: null, target: 'pipe:[1]', peer: null, truncated: false,
        },
      ]);
    }
  });

  it('tells of a pipe with two traced ends once, and names the other end', () => {
    const events = [
      say({ direction: 'write', text: `${request}\n` }), say({ process: 'server', direction: 'read', target: 'pipe:[1]', text: `${request}\n`, role: 'stdin' }, 1),
      say({ process: 'server', direction: 'write', target: 'pipe:[2]', text: `${reply}\n`, role: 'stdout' }, 5), say({ direction: 'read', text: `${reply}\n` }, 6),
    ];
    const { found, counters } = heard(events);
    expect(found).toMatchObject([{ role: 'client', state: 'complete', latency_ms: 6, peer: { comm: 'server', process: 'server', evidence: 'used' } }]);
    expect(counters.get('heard_twice')).toBe(1);
  });

  it('does so of a pair of sockets, whose ends have names of their own', () => {
    const own = { target: 'socket:[1]', peerTarget: 'socket:[2]' };
    const other = { target: 'socket:[2]', peerTarget: 'socket:[1]' };
    const events = [
      say({ direction: 'write', text: `${request}\n`, ...own }), say({ process: 'server', direction: 'read', text: `${request}\n`, role: 'stdin', ...other }, 1),
      say({ process: 'server', direction: 'write', text: `${reply}\n`, role: 'stdout', ...other }, 5), say({ direction: 'read', text: `${reply}\n`, ...own }, 6),
    ];
    const { found, counters } = heard(events);
    expect(found).toMatchObject([{ role: 'client', target: 'socket:[1]', state: 'complete', latency_ms: 6, peer: { comm: 'server', process: 'server', evidence: 'used' } }]);
    expect(counters.get('heard_twice')).toBe(1);
  });

  it('names the other end by what its stdio events know: who used it before who only holds it, of the request or of the reply', () => {
    const peer = (name: string, evidence: StdioPeer['evidence']): StdioPeer => ({ pid: name.length, process: name, comm: name, fd: 7, evidence });
    const ask = (peers: readonly StdioPeer[]) => say({ direction: 'write', target: 'socket:[1]', peerTarget: 'socket:[2]', text: `${request}\n`, peers });
    const answer = (peers: readonly StdioPeer[]) => say({ direction: 'read', target: 'socket:[3]', peerTarget: 'socket:[4]', text: `${reply}\n`, peers });
    const held = peer('holder', 'held');
    const used = peer('user', 'used');
    const peerOf = (...events: readonly Event[]) => heard(events).found.map(({ peer: found }) => found);
    expect(peerOf(ask([held]), answer([]))).toEqual([{ pid: 6, comm: 'holder', process: 'holder', evidence: 'held' }]);
    expect(peerOf(ask([]), answer([held]))).toEqual([{ pid: 6, comm: 'holder', process: 'holder', evidence: 'held' }]);
    expect(peerOf(ask([held]), answer([held, used]))).toEqual([{ pid: 4, comm: 'user', process: 'user', evidence: 'used' }]);
    expect(peerOf(ask([held]))).toMatchObject([{ process: 'holder' }]);
    expect(peerOf(ask([]), answer([]))).toEqual([null]);
    expect(peerOf(say({ direction: 'write', text: `${rpc({ method: 'n' })}\n`, peers: [used] }))).toMatchObject([{ process: 'user' }]);
  });

  it('keeps requests of both sides with the same id apart, and 1 from "1"', () => {
    const { found } = heard([
      say({ direction: 'write', text: `${rpc({ id: 1, method: 'mine' })}\n${rpc({ id: '1', method: 'text' })}\n` }),
      say({ direction: 'read', text: `${rpc({ id: 1, method: 'theirs' })}\n` }),
      say({ direction: 'read', text: `${rpc({ id: '1', result: 'b' })}\n${rpc({ id: 1, error: { code: -32601, message: 'no such method' } })}\n` }),
      say({ direction: 'write', text: `${rpc({ id: 1, result: 'c' })}\n` }),
    ]);
    expect(found).toMatchObject([
      { method: 'text', role: 'client', result: '"b"' },
      { method: 'mine', role: 'client', result: null, error: { code: -32601, message: 'no such method' } },
      { method: 'theirs', role: 'server', result: '"c"' },
    ]);
  });

  it('makes nothing of what is no message', () => {
    const other = ['plain log\n', '{"level":"info","id":1,"method":"x"}\n', '[1,2]\n', '"jsonrpc"\n', 'Content-Length: many\n\n', '{"jsonrpc":"1.0","id":1,"method":"x"}\n', '{"jsonrpc":"2.0",\n'].join('');
    expect(heard([say({ direction: 'write', text: other })]).found).toEqual([]);
    expect(heard([say({ direction: 'write', text: `${request}\n`, role: 'stderr' }), say({ direction: 'write', text: `${request}\n`, target: '/dev/pts/0' })]).found).toEqual([]);
    expect(heard([say({ direction: 'write', text: `banner\n${request}\nmore\n` })]).found).toHaveLength(1);
  });

  it('says of calls without a reply why, and of replies without a call', () => {
    const exit: Event = {
      ...say({ direction: 'read', text: '' }), source: 'process',
      data: {
        event: 'EXIT', ppid: 1, exit_code: 0, signal: null, core_dumped: false, duration_ms: 1, peak_rss_bytes: 1, peak_rss_upper_bound: false,
        user_ms: 0, system_ms: 0, read_bytes: 0, written_bytes: 0,
      },
    };
    const ask = say({ direction: 'write', text: `${request}\n` });
    expect(heard([ask]).found).toMatchObject([{ state: 'aborted', reason: 'capture ended' }]);
    expect(heard([ask, exit]).found).toMatchObject([{ state: 'aborted', reason: 'process exited' }]);
    expect(heard([ask, ask]).found).toMatchObject([{ reason: 'its id was used again' }, { reason: 'capture ended' }]);
    expect(heard([say({ direction: 'read', text: `${reply}\n` })]).found).toMatchObject([{ kind: 'reply', role: 'client', state: 'partial', reason: 'request not captured' }]);
  });

  it('masks secrets, also one that two writes share', () => {
    const secret = rpc({ id: 1, method: 'login', params: { api_key: 'opensesame-0123456789', note: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789' } });
    const { found } = heard(split(say({ direction: 'write', text: `${secret}\n` }), () => 70));
    expect(found).toHaveLength(1);
    expect(JSON.stringify(found)).not.toMatch(/opensesame|ghp_/);
  });

  it('drops a message that is too long or was cut, counts it, and goes on at the next line', () => {
    const long = `${rpc({ id: 9, method: 'x'.repeat(300) })}\n`;
    const first = heard([say({ direction: 'write', text: `${long}${request}\n${framed(long)}${framed(request)}` })], { mcpMessageBytes: 200 });
    expect(first.found.map(({ method }) => method)).toEqual(['tools/call', 'tools/call']);
    expect(first.counters.get('messages_too_long')).toBe(2);
    const cut = say({ direction: 'write', text: request.slice(0, 20) });
    const second = heard([{ ...cut, data: { ...cut.data, total: 999, truncated: true } }, say({ direction: 'write', text: `rest\n${request}\n` })]);
    expect(second.found).toHaveLength(1);
    expect(second.counters.get('messages_cut')).toBe(1);
  });

  it('is bounded in calls and streams', () => {
    const asks = Array.from({ length: 10 }, (_, id) => say({ direction: 'write', text: `${rpc({ id, method: 'm' })}\n` }));
    const calls = heard(asks, { mcpCallsPerProcess: 3 });
    expect(calls.counters.get('calls_evicted')).toBe(7);
    expect(calls.found).toHaveLength(10);
    const pipes = Array.from({ length: 10 }, (_, inode) => say({ direction: 'write', target: `pipe:[${inode}]`, text: request }));
    expect(heard(pipes, { mcpStreams: 4 }).counters.get('streams_evicted')).toBe(6);
  });

  it('never throws and invents nothing, whatever the bytes', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = generator(seed);
      const words = [request, reply, '\n', '\r\n', 'Content-Length: ', '12', '\r\n\r\n', '{', '}', '[', '"jsonrpc"', ':"2.0"', '\0', framed(reply), `[${request},${reply}]\n`];
      const events = Array.from({ length: 20 }, () => say({
        direction: random(2) === 0 ? 'read' : 'write', text: Array.from({ length: random(6) }, () => words[random(words.length)]).join(''),
      }));
      for (const { method, kind } of heard(events, { mcpMessageBytes: 400 }).found) expect(kind === 'reply' || method === 'tools/call', `seed ${seed}`).toBe(true);
    }
  });
});
