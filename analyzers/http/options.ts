/** What the HTTP analyzer can be told, what it counts, and what all its connections share. */
import type { SchedulerLike } from 'rxjs';
import type { BodyEvent, Event, HttpEvent, NetEvent, NetProtocol, SseEvent, WebsocketEvent } from '../../src/event.ts';
import { CODING_COUNTERS } from '../coding/decoder.ts';
import { LIMITS } from '../../src/limits.ts';
import { Counters } from '../../src/stats.ts';
import type { LocateSecrets } from './mask.ts';

type LimitName =
  | 'connections' | 'connectionIdleMs' | 'httpHeadBytes' | 'httpBodyBytes' | 'httpBodyBytesTotal' | 'bodyPartBytes' | 'bodyPartBytesTotal'
  | 'httpPendingPerConnection' | 'httpInterimResponses' | 'httpChunkLineBytes' | 'httpChunkSeekBytes' | 'http2Streams' | 'http2SeekBytes' | 'websocketSeekBytes'
  | 'hpackTableBytes' | 'hpackTableBytesTotal' | 'grpcMessages' | 'protobufFields' | 'protobufDepth' | 'reorderParts' | 'reorderMs' | 'rawHeldBytes' | 'sseEventBytes'
  | 'codingsPerBody' | 'codingRatio' | 'codingOutputBytes' | 'codingBytesTotal';
export type HttpLimits = { readonly [Name in LimitName]: number };

export const HTTP_COUNTERS = [
  'connections', 'connections_evicted', 'connections_idle',
  'opaque_unknown', 'opaque_named', 'opaque_upgraded', 'opaque_overrun', 'opaque_bytes',
  'exchanges', 'exchanges_aborted', 'exchanges_partial', 'responses_unpaired',
  'gaps', 'gap_bytes', 'repeated_bytes', 'reordered', 'resynchronised', 'read_faults',
  'hpack_unknown', 'hpack_errors', 'streams_overrun', 'grpc_calls', 'grpc_truncated', 'grpc_compressed',
  'heads_too_long', 'bodies_truncated', 'body_memory_full', 'body_parts_full', 'body_parts_unsure', 'requests_overrun', 'interim_overrun', 'chunk_extensions',
  'sse_events', 'sse_truncated', 'sse_unfinished',
  'websockets', 'websocket_messages', 'websocket_partial', 'websocket_errors', 'websocket_lost',
  ...CODING_COUNTERS, 'coding_unknown',
  'masked', 'secrets_unlisted', 'withheld_chunks', 'withheld_bytes', 'held_full',
] as const;
export type HttpCounter = (typeof HTTP_COUNTERS)[number];

export interface HttpOptions {
  /** Id of the next event: `<host>.<boot>.<collector>.<sequence>`. */
  readonly nextId: () => string;
  readonly counters?: Counters<HttpCounter> | undefined;
  readonly limits?: Partial<HttpLimits> | undefined;
  /** Where secrets are. Without it nothing is masked. */
  readonly locateSecrets?: LocateSecrets | undefined;
  /** `tls` chunks will be written: hold each until its secrets are known and masked. */
  readonly raw?: boolean | undefined;
  /** With `raw`: let bytes that no parser could read pass. */
  readonly keepOpaque?: boolean | undefined;
  /** Of a replay: connections whose recorded events say more than what is left of their chunks: no event is made of these. */
  readonly recorded?: ReadonlySet<string> | undefined;
  /** Its capture has them: no `PROTOCOL` events are made, nor parts of bodies. */
  readonly isReplay?: boolean | undefined;
  /** Flushes idle connections although no event comes; without it only the time of events counts. */
  readonly scheduler?: SchedulerLike | undefined;
}

/** A quantity that all connections share. */
export interface Budget {
  readonly limit: number;
  used: number;
}

export type DerivedEvent = HttpEvent | BodyEvent | SseEvent | WebsocketEvent | (NetEvent & { readonly data: NetProtocol });

export interface Environment {
  readonly limits: HttpLimits;
  readonly counters: Counters<HttpCounter>;
  readonly nextId: () => string;
  readonly locate: LocateSecrets | undefined;
  readonly raw: boolean;
  readonly isReplay: boolean;
  readonly keepOpaque: boolean;
  /** Body bytes in memory, over all connections. */
  readonly bodies: Budget;
  /** Of bodies that are told in parts. */
  readonly parts: Budget;
  /** Header tables of HTTP/2 in memory. */
  readonly tables: Budget;
  /** Memory of decoders of compressed bodies. */
  readonly decoders: Budget;
  /** Bytes of chunks that wait for their masks. */
  readonly held: Budget;
  /** Passes an event on. */
  emit(event: Event): void;
  /** Adds one that was made of chunks. */
  derive(event: DerivedEvent): void;
}

export function createEnvironment(options: HttpOptions, emit: (event: Event) => void): Environment {
  const limits: HttpLimits = { ...LIMITS, ...options.limits };
  const keepOpaque = options.keepOpaque ?? false;
  return {
    limits,
    counters: options.counters ?? new Counters(HTTP_COUNTERS),
    nextId: options.nextId,
    locate: options.locateSecrets,
    // Nothing would be masked and nothing left out: then nothing needs to wait either.
    raw: (options.raw ?? false) && !(keepOpaque && options.locateSecrets === undefined),
    keepOpaque,
    isReplay: options.isReplay ?? false,
    bodies: { limit: limits.httpBodyBytesTotal, used: 0 },
    parts: { limit: limits.bodyPartBytesTotal, used: 0 },
    tables: { limit: limits.hpackTableBytesTotal, used: 0 },
    decoders: { limit: limits.codingBytesTotal, used: 0 },
    held: { limit: limits.rawHeldBytes, used: 0 },
    emit,
    derive: (event) => {
      if (options.recorded?.has(event.data.connection) !== true) emit(event);
    },
  };
}

/** The counters to give as an option and to report from. */
export function createHttpCounters(): Counters<HttpCounter> {
  return new Counters(HTTP_COUNTERS);
}
