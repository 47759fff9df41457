/**
 * The operator that finds JSON-RPC over stdio, as agents speak it with their tool
 * servers (the Model Context Protocol) and editors with language servers: passes every
 * event on, and adds an `mcp` event for each call when its reply came, for each
 * notification, and for a reply without its request.
 *
 * Goes before `redact`, so that it finds secrets over the borders of calls; it masks
 * whole messages itself.
 */
import { Observable, type OperatorFunction } from 'rxjs';
import type { Event, McpEvent, ProcessKey, StdioEvent } from '../src/event.ts';
import { LIMITS } from '../src/limits.ts';
import { Counters } from '../src/stats.ts';
import { type LocateSecrets, masked, secretsOf } from './http/mask.ts';
import { type Heard, type ProcessEnd, abandonCalls, createProcessEnd, takeMessage } from './jsonrpc/ends.ts';
import { type Framing, type MessageReader, breakMessages, createMessageReader, readMessages } from './jsonrpc/framing.ts';
import { parseMessages } from './jsonrpc/message.ts';
import { type PipeUse, type Pipes, createPipes } from './jsonrpc/pipes.ts';

const COUNTERS = [
  'calls', 'calls_aborted', 'calls_evicted', 'notifications', 'replies', 'replies_unpaired', 'heard_twice',
  'streams_evicted', 'pipes_forgotten', 'messages_too_long', 'messages_cut', 'messages_malformed', 'secrets_unlisted',
] as const;
export type McpCounters = Counters<(typeof COUNTERS)[number]>;

export function createMcpCounters(): McpCounters {
  return new Counters(COUNTERS);
}

type LimitName = 'mcpStreams' | 'mcpMessageBytes' | 'mcpCallsPerProcess' | 'mcpPipesPerProcess' | 'mcpTextCharacters';
export type McpLimits = { readonly [Name in LimitName]: number };

export interface McpOptions {
  readonly nextId: () => string;
  readonly counters?: McpCounters | undefined;
  readonly limits?: Partial<McpLimits> | undefined;
  /** Where secrets are. Without it nothing is masked. */
  readonly locateSecrets?: LocateSecrets | undefined;
}

export interface McpEnvironment {
  readonly limits: McpLimits;
  readonly counters: McpCounters;
  readonly nextId: () => string;
  readonly locate: LocateSecrets | undefined;
  readonly pipes: Pipes;
  emit(event: McpEvent): void;
}

const NOTHING = new Uint8Array(0);

interface Stream {
  readonly process: ProcessKey | null;
  readonly reader: MessageReader;
  /** The event whose bytes are being read. */
  event: StdioEvent;
  use: PipeUse;
  /** Where in the call the next chunk should begin; 0 after the last. */
  next: number;
  /** Of that call. */
  total: number;
}

interface State {
  readonly environment: McpEnvironment;
  /** By process, file and direction; longest unused first. */
  readonly streams: Map<string, Stream>;
  readonly ends: Map<ProcessKey | null, ProcessEnd>;
}

export function mcp(options: McpOptions): OperatorFunction<Event, Event> {
  return (source) => new Observable<Event>((subscriber) => {
    const limits: McpLimits = { ...LIMITS, ...options.limits };
    const state: State = {
      environment: {
        limits, counters: options.counters ?? createMcpCounters(), nextId: options.nextId, locate: options.locateSecrets,
        pipes: createPipes(limits.mcpStreams), emit: (event) => subscriber.next(event),
      },
      streams: new Map(), ends: new Map(),
    };
    subscriber.add(() => {
      state.streams.clear();
      state.ends.clear();
      state.environment.pipes.forget();
    });
    const finish = (): void => {
      for (const end of state.ends.values()) abandonCalls(state.environment, end, 'capture ended');
    };
    subscriber.add(source.subscribe({
      next(event) {
        subscriber.next(event);
        if (event.source === 'stdio') takeChunk(state, event);
        else if (event.source === 'process' && event.data.event === 'EXIT') endProcess(state, event.process);
      },
      error(cause: unknown) {
        finish();
        subscriber.error(cause);
      },
      complete() {
        finish();
        subscriber.complete();
      },
    }));
  });
}

/** Terminals and files carry what people read; programs speak with each other over pipes and sockets. */
function takeChunk(state: State, event: StdioEvent): void {
  const { data } = event;
  if (data.role === 'stderr' || !/^(?:pipe|socket):/.test(data.target)) return;
  const use = state.environment.pipes.see(event);
  const stream = streamOf(state, event, use);
  stream.use = use;
  if (data.offset !== stream.next || (data.offset > 0 && data.total !== stream.total)) breakMessages(stream.reader);
  stream.event = event;
  const end = data.offset + data.len + (data.withheld ?? 0);
  stream.total = data.total;
  stream.next = end < data.total && !data.truncated ? end : 0;
  if (data.fault || data.withheld !== undefined) breakMessages(stream.reader);
  else readMessages(stream.reader, Buffer.from(data.payload.buffer, data.payload.byteOffset, data.payload.byteLength));
  // The rest of the call was not copied.
  if (data.truncated && data.offset + data.len < data.total) breakMessages(stream.reader);
  // A payload is a view of a batch, which must not live as long as the stream.
  stream.event = { ...event, data: { ...data, payload: NOTHING } };
}

function streamOf(state: State, event: StdioEvent, use: PipeUse): Stream {
  const key = `${event.process ?? event.pid} ${event.data.target} ${event.data.direction}`;
  let stream = state.streams.get(key);
  if (stream === undefined) {
    const { limits, counters } = state.environment;
    if (state.streams.size >= limits.mcpStreams) {
      counters.add('streams_evicted');
      state.streams.delete(state.streams.keys().next().value as string);
    }
    const made: Stream = {
      process: event.process, event, use, next: 0, total: 0,
      reader: createMessageReader(limits.mcpMessageBytes, {
        onText: (bytes, framing) => takeText(state, made, bytes, framing),
        onDropped: (reason) => counters.add(reason === 'cut' ? 'messages_cut' : 'messages_too_long'),
      }),
    };
    stream = made;
  } else {
    state.streams.delete(key);
  }
  state.streams.set(key, stream);
  return stream;
}

function takeText(state: State, { event, use }: Stream, bytes: Buffer, framing: Framing): void {
  const { environment, ends } = state;
  const ranges = environment.locate?.('text', bytes) ?? [];
  const text = masked(bytes, ranges).toString('utf8');
  const messages = parseMessages(text);
  if (messages.length === 0) environment.counters.add('messages_malformed');
  let end = ends.get(event.process);
  if (end === undefined) ends.set(event.process, end = createProcessEnd(environment));
  const { pid, comm, process, session, timestamp, data } = event;
  // Who is first to hear tells, though another may have its reply earlier.
  environment.pipes.tells(use.pipe, event.process);
  const heard: Heard = { carrier: { pid, comm, process, session }, timestamp, direction: data.direction, target: data.target, use, framing, secrets: secretsOf(ranges) };
  for (const message of messages) takeMessage(environment, end, heard, message);
}

function endProcess(state: State, process: ProcessKey | null): void {
  const end = state.ends.get(process);
  if (end !== undefined) abandonCalls(state.environment, end, 'process exited');
  state.ends.delete(process);
  for (const [key, stream] of state.streams) {
    if (stream.process === process) state.streams.delete(key);
  }
}
