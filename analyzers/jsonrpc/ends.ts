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
import { type Side, type Sides, createSides } from './sides.ts';

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
  readonly side: Side;
  readonly request: Extract<RpcMessage, { kind: 'request' }>;
  readonly number: number;
  /** Told already, since who asked said that it waits no more. */
  isCancelled: boolean;
  /** A reply came that may have been to this one. */
  isUnsure: boolean;
}

export interface ProcessEnd {
  /** Requests by `keyOf`, the oldest first. */
  readonly waiting: Map<string, Waiting>;
  readonly sides: Sides;
  messages: number;
}

export function createProcessEnd({ pipes, limits, counters }: McpEnvironment): ProcessEnd {
  return { waiting: new Map(), sides: createSides(pipes, limits.mcpPipesPerProcess, () => counters.add('pipes_forgotten')), messages: 0 };
}

export function takeMessage(environment: McpEnvironment, end: ProcessEnd, heard: Heard, message: RpcMessage): void {
  const number = end.messages++;
  const side = end.sides.sideOf(heard.use, heard.direction);
  switch (message.kind) {
    case 'request':
      wait(environment, end, { heard, side, request: message, number, isCancelled: false, isUnsure: false });
      return;
    case 'notification':
      if (message.cancels !== null) cancel(environment, end, side, message.cancels);
      emit(environment, heard, { ...BLANK, method: message.method, params: message.params, kind: message.kind, number });
      return;
    case 'reply':
      takeReply(environment, end, side, { ...message, heard, number });
  }
}

/** No more replies come. */
export function abandonCalls(environment: McpEnvironment, end: ProcessEnd, reason: string): void {
  for (const call of end.waiting.values()) giveUp(environment, call, reason);
  end.waiting.clear();
}

function wait(environment: McpEnvironment, end: ProcessEnd, call: Waiting): void {
  const key = keyOf(call.side, call.request.idText);
  const before = end.waiting.get(key);
  if (before !== undefined) {
    end.waiting.delete(key);
    giveUp(environment, before, 'its id was used again');
  }
  if (end.waiting.size >= environment.limits.mcpCallsPerProcess) {
    const [oldest] = end.waiting;
    environment.counters.add('calls_evicted');
    end.waiting.delete(oldest?.[0] ?? '');
    if (oldest !== undefined) giveUp(environment, oldest[1], 'too many requests waiting');
  }
  end.waiting.set(key, { ...call, request: { ...call.request, params: call.request.params?.slice(0, environment.limits.mcpTextCharacters + 1) ?? null } });
}

/** The call goes on waiting, so that a reply that was under way finds it. */
function cancel(environment: McpEnvironment, end: ProcessEnd, side: Side, idText: string): void {
  const call = end.waiting.get(keyOf(side, idText));
  if (call === undefined || call.isCancelled) return;
  emitCall(environment, call, 'cancelled');
  call.isCancelled = true;
}

type Reply = Extract<RpcMessage, { kind: 'reply' }> & { readonly heard: Heard; readonly number: number };

function takeReply(environment: McpEnvironment, end: ProcessEnd, side: Side, message: Reply): void {
  const found = answered(end, side, message.idText);
  const why = typeof found === 'string' ? found : found.call.isCancelled ? 'its call was cancelled' : null;
  if (typeof found !== 'string') end.waiting.delete(keyOf(found.call.side, message.idText));
  if (typeof found !== 'string' && why === null) {
    emitCall(environment, found.call, { ...message, pairing: found.pairing });
    return;
  }
  environment.counters.add('replies_unpaired');
  const { id, result, error, heard, number } = message;
  emit(environment, heard, { ...BLANK, kind: 'reply', id, result, error, number, state: 'partial', reason: why });
}

/** The call that a reply answers, or why none is known to be. */
function answered(end: ProcessEnd, side: Side, idText: string): { readonly call: Waiting; readonly pairing: Pairing } | string {
  const calls = [...end.waiting.values()].filter(({ side: asked, request }) => asked.direction !== side.direction && request.idText === idText);
  const partner = end.sides.partnerOf(side);
  const call = calls.find((each) => each.side === partner?.side);
  if (partner !== null && call !== undefined) return { call, pairing: partner.pairing };
  if (partner?.pairing === 'proven') return NOT_CAPTURED;
  const free = calls.filter((each) => (end.sides.partnerOf(each.side)?.side ?? side) === side);
  const [only, another] = free;
  if (only === undefined) return NOT_CAPTURED;
  if (another !== undefined) {
    for (const each of free) each.isUnsure = true;
    return 'several pipes wait for a reply to its id, and who is at their ends is not known';
  }
  end.sides.learn(only.side, side);
  return { call: only, pairing: 'inferred' };
}

function giveUp(environment: McpEnvironment, call: Waiting, reason: string): void {
  if (!call.isCancelled) emitCall(environment, call, call.isUnsure ? 'its reply could not be told from that of another pipe' : reason);
}

function keyOf({ direction, use }: Side, idText: string): string {
  return `${direction} ${use.own} ${idText}`;
}

interface Fields {
  readonly kind: McpData['kind'];
  readonly number: number;
  readonly id: RpcId;
  readonly method: string | null;
  readonly params: string | null;
  readonly result: string | null;
  readonly error: McpData['error'];
  readonly pairing: McpData['pairing'];
  readonly state: McpData['state'];
  readonly reason: string | null;
  readonly latencyMs: number | null;
}

const BLANK = { id: null, method: null, params: null, result: null, error: null, pairing: null, state: 'complete', reason: null, latencyMs: null } as const;

type Pairing = NonNullable<McpData['pairing']>;
const NOT_CAPTURED = 'request not captured';

function emitCall(environment: McpEnvironment, { heard, request, number }: Waiting, reply: (Reply & { readonly pairing: Pairing }) | string): void {
  const { id, method, params } = request;
  const call = { ...BLANK, kind: 'call', number, id, method, params } as const;
  if (typeof reply === 'string') {
    environment.counters.add('calls_aborted');
    emit(environment, heard, { ...call, state: 'aborted', reason: reply });
    return;
  }
  const latencyMs = differenceMs(reply.heard.timestamp, heard.timestamp);
  emit(environment, heard, { ...call, result: reply.result, error: reply.error, pairing: reply.pairing, latencyMs }, reply.heard);
}

function emit(environment: McpEnvironment, heard: Heard, fields: Fields, replied: Heard | null = null): void {
  const { carrier, direction, target, use, framing, timestamp } = heard;
  if (!environment.pipes.tells(use.pipe, carrier.process)) {
    environment.counters.add('heard_twice');
    return;
  }
  const { params, result, error, latencyMs, number, ...rest } = fields;
  const limit = environment.limits.mcpTextCharacters;
  const data: McpData = {
    ...rest,
    call: `${carrier.process ?? carrier.pid}/${number}`,
    framing, target,
    role: roleOf(direction, fields.kind),
    peer: environment.pipes.peerOf(replied === null ? [use] : [use, replied.use]),
    params: params?.slice(0, limit) ?? null,
    result: result?.slice(0, limit) ?? null,
    error: error === null ? null : { code: error.code, message: error.message.slice(0, limit) },
    truncated: [params, result, error?.message].some((text) => (text?.length ?? 0) > limit),
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
