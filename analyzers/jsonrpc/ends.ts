/**
 * What one process says and hears over its pipes: its requests wait for their replies.
 * A pipe of which both ends are traced is heard twice; the process that was first to speak
 * or hear JSON-RPC on it tells of it, and the other is named as the peer.
 */
import type { Direction, McpData, McpEvent, SecretMarks, StdioEvent } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import type { McpEnvironment } from '../mcp.ts';
import { joinMarks, withMarks } from '../redact/marks.ts';
import type { Framing } from './framing.ts';
import type { RpcId, RpcMessage } from './message.ts';
import type { PipeUse } from './pipes.ts';

export interface Heard {
  readonly carrier: Pick<StdioEvent, 'pid' | 'comm' | 'process' | 'session'>;
  readonly timestamp: Nanoseconds;
  readonly direction: Direction;
  readonly target: string;
  readonly use: PipeUse;
  readonly framing: Framing;
  /** Of the whole text, which in a batch holds more than this message. */
  readonly secrets: SecretMarks;
}

interface Waiting {
  readonly heard: Heard;
  readonly request: Extract<RpcMessage, { kind: 'request' }>;
  readonly number: number;
}

export interface ProcessEnd {
  /** Requests by the direction they went and their id. */
  readonly waiting: Map<string, Waiting>;
  messages: number;
}

export function createProcessEnd(): ProcessEnd {
  return { waiting: new Map(), messages: 0 };
}

export function takeMessage(environment: McpEnvironment, end: ProcessEnd, heard: Heard, message: RpcMessage): void {
  const number = end.messages++;
  if (message.kind === 'request') {
    wait(environment, end, { heard, request: message, number });
    return;
  }
  if (message.kind === 'notification') {
    emit(environment, heard, { ...BLANK, ...message, number });
    return;
  }
  const key = keyOf(heard.direction === 'read' ? 'write' : 'read', message.id);
  const call = end.waiting.get(key);
  if (call === undefined) {
    environment.counters.add('replies_unpaired');
    emit(environment, heard, { ...BLANK, ...message, number, state: 'partial', reason: 'request not captured' });
    return;
  }
  end.waiting.delete(key);
  emitCall(environment, call, { ...message, heard });
}

/** No more replies come. */
export function abandonCalls(environment: McpEnvironment, end: ProcessEnd, reason: string): void {
  for (const call of end.waiting.values()) emitCall(environment, call, reason);
  end.waiting.clear();
}

function wait(environment: McpEnvironment, end: ProcessEnd, call: Waiting): void {
  const key = keyOf(call.heard.direction, call.request.id);
  const before = end.waiting.get(key);
  if (before !== undefined) {
    end.waiting.delete(key);
    emitCall(environment, before, 'its id was used again');
  }
  if (end.waiting.size >= environment.limits.mcpCallsPerProcess) {
    const [oldest] = end.waiting;
    environment.counters.add('calls_evicted');
    end.waiting.delete(oldest?.[0] ?? '');
    if (oldest !== undefined) emitCall(environment, oldest[1], 'too many requests waiting');
  }
  end.waiting.set(key, { ...call, request: { ...call.request, params: call.request.params?.slice(0, environment.limits.mcpTextCharacters + 1) ?? null } });
}

/** 1 and "1" are two ids. */
function keyOf(direction: Direction, id: RpcId): string {
  return `${direction} ${JSON.stringify(id)}`;
}

interface Fields {
  readonly kind: McpData['kind'];
  readonly number: number;
  readonly id: RpcId;
  readonly method: string | null;
  readonly params: string | null;
  readonly result: string | null;
  readonly error: McpData['error'];
  readonly state: McpData['state'];
  readonly reason: string | null;
  readonly latencyMs: number | null;
}

const BLANK = { id: null, method: null, params: null, result: null, error: null, state: 'complete', reason: null, latencyMs: null } as const;

type Reply = Extract<RpcMessage, { kind: 'reply' }> & { readonly heard: Heard };

function emitCall(environment: McpEnvironment, { heard, request, number }: Waiting, reply: Reply | string): void {
  const { id, method, params } = request;
  const call = { ...BLANK, kind: 'call', number, id, method, params } as const;
  if (typeof reply === 'string') {
    environment.counters.add('calls_aborted');
    emit(environment, heard, { ...call, state: 'aborted', reason: reply });
    return;
  }
  const latencyMs = differenceMs(reply.heard.timestamp, heard.timestamp);
  emit(environment, heard, { ...call, result: reply.result, error: reply.error, latencyMs }, reply.heard);
}

function emit(environment: McpEnvironment, heard: Heard, fields: Fields, replied: Heard | null = null): void {
  const { carrier, direction, target, use, framing, timestamp } = heard;
  if (!environment.pipes.tells(use.pipe, carrier.process)) {
    environment.counters.add('heard_twice');
    return;
  }
  const { params, result, latencyMs, number, ...rest } = fields;
  const limit = environment.limits.mcpTextCharacters;
  const data: McpData = {
    ...rest,
    call: `${carrier.process ?? carrier.pid}/${number}`,
    framing, target,
    role: roleOf(direction, fields.kind),
    peer: environment.pipes.peerOf(replied === null ? [use] : [use, replied.use]),
    params: params?.slice(0, limit) ?? null,
    result: result?.slice(0, limit) ?? null,
    truncated: (params?.length ?? 0) > limit || (result?.length ?? 0) > limit,
    latency_ms: latencyMs,
    ...withMarks(joinMarks(heard.secrets, replied?.secrets ?? [], (count) => environment.counters.add('secrets_unlisted', count))),
  };
  environment.counters.add(fields.kind === 'call' ? 'calls' : fields.kind === 'notification' ? 'notifications' : 'replies');
  const event: McpEvent = { timestamp, source: 'mcp', ...carrier, data, id: environment.nextId() };
  environment.emit(event);
}

/** Who writes a request or a notification is the client of it; who writes a reply is its server. */
function roleOf(direction: Direction, kind: McpData['kind']): McpData['role'] {
  return (direction === 'write') === (kind !== 'reply') ? 'client' : 'server';
}
