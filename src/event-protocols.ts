/** What analyzers make of bytes: HTTP exchanges, events of their streams, messages of WebSockets, and JSON-RPC calls. */
import type { Direction, Masked, ProcessKey } from './event.ts';
import type { GrpcData } from './event-grpc.ts';
import type { Endpoint } from './event-net.ts';

export type TextEncoding = 'utf8' | 'base64';
/** Lower-case header name to all its values, in order. */
export type Headers = Readonly<Record<string, readonly string[]>>;
/** null: what a compressed head refers to was sent before the capture, or in a gap of it. */
export type HeaderList = readonly (readonly [name: string | null, value: string | null])[];

/**
 * `complete`: both messages were seen whole. `aborted`: the connection or the
 * capture ended first. `partial`: bytes of it are missing.
 */
export type ExchangeState = 'complete' | 'aborted' | 'partial';

/**
 * What is odd about a message: programs on its way may read it differently, which is how
 * requests are smuggled past a proxy. analyzers/README.md says what each means and how it was read.
 */
export type HttpFlag =
  | 'bare-carriage-return' | 'bare-line-feed' | 'mixed-line-ends' | 'folded-line' | 'space-before-colon' | 'bad-header-name' | 'line-without-colon'
  | 'length-with-transfer-coding' | 'lengths-differ' | 'length-repeated' | 'bad-length'
  | 'transfer-coding-in-http-1.0' | 'chunked-repeated' | 'chunked-not-last' | 'transfer-coding-without-chunked'
  | 'chunk-extension' | 'chunk-size-padded' | 'chunk-size-overflow' | 'malformed-chunk'
  | 'transfer-coding-in-http-2' | 'connection-field-in-http-2' | 'body-not-sent'
  | 'body-length-differs' | 'line-break-in-value' | 'upper-case-name' | 'pseudo-field-repeated' | 'pseudo-field-late' | 'pseudo-field-unknown' | 'pseudo-field-missing';

/** A response of status 1xx, which announces the real one. */
export interface InterimResponse {
  readonly status: number;
  readonly headers: Headers;
  /** Since the request's first byte; null where the request was not captured. */
  readonly since_request_ms: number | null;
}

/** One HTTP request with its response. The event's timestamp is the request's first byte. */
export interface HttpData extends Masked {
  /** Connection and number on it; also in the `sse` events of this exchange. */
  readonly exchange: string;
  readonly connection: string;
  /** Number of its stream, in HTTP/2. */
  readonly stream: number | null;
  /** The server began it, by a promise. */
  readonly pushed: boolean;
  /** Both ends of its socket, when they became known. */
  readonly endpoint: Endpoint | null;
  /** Whether it was encrypted. */
  readonly tls: boolean;
  readonly state: ExchangeState;
  /** Why it is not `complete`. */
  readonly reason: string | null;
  /**
   * How request and response are known to belong together. `proven`: by the stream of HTTP/2, or by the order of messages where none was
   * lost. `inferred`: by their order after some were, as of a client that does what it was seen to do. null where there is one of them, and in older captures.
   */
  readonly pairing: 'proven' | 'inferred' | null;
  /** Whether the traced process sent the request or answered it. */
  readonly role: 'client' | 'server';
  /** `UNKNOWN` when only the response was captured; `url` and `path` are then empty. */
  readonly method: string;
  /** Absolute when the host is known. */
  readonly url: string;
  /** Without the query. */
  readonly path: string;
  readonly host: string | null;
  readonly http_version: string;
  /** null while no response was seen. */
  readonly status: number | null;
  readonly status_text: string | null;
  readonly request_headers: Headers;
  readonly request_header_list: HeaderList;
  readonly response_headers: Headers;
  readonly response_header_list: HeaderList;
  /** Whose message, and what is odd about it: `request.lengths-differ`. */
  readonly flags: readonly (`request.${HttpFlag}` | `response.${HttpFlag}`)[];
  /** Responses of status 1xx before the real one, in order: `100 Continue`, `103 Early Hints`. */
  readonly interim: readonly InterimResponse[];
  /** Fields after the body. */
  readonly request_trailers: HeaderList;
  readonly response_trailers: HeaderList;
  /** Fields of its heads and trailers that are null in the lists, in name or value. */
  readonly unknown_fields: number;
  /** Decoded of its transfer and content codings. null when there was none, and where it could not be decoded. */
  readonly request_body: string | null;
  readonly request_body_encoding: TextEncoding;
  /** As they were sent, chunks and padding left out. */
  readonly request_body_bytes: number;
  readonly request_body_truncated: boolean;
  /** Codings that it was decoded of, in the order in which they were applied: `gzip`. null where it came plain. */
  readonly request_body_coding: string | null;
  /** Of a coded body: bytes that came out. */
  readonly request_decoded_bytes: number;
  readonly response_body: string | null;
  readonly response_body_encoding: TextEncoding;
  readonly response_body_bytes: number;
  readonly response_body_truncated: boolean;
  readonly response_body_coding: string | null;
  readonly response_decoded_bytes: number;
  /** Request's first byte to its last one; null where the request was not captured. */
  readonly request_end_ms: number | null;
  /** Request's first byte to response's first byte; null while there was no response. */
  readonly response_start_ms: number | null;
  /** Request's first byte to response's last byte; null while there was no response. */
  readonly latency_ms: number | null;
  /** Request's last byte to response's first byte. */
  readonly ttfb_ms: number | null;
  /** Events of its stream, when the response was `text/event-stream`. */
  readonly sse_events: number | null;
  /** What it says as a gRPC call, when it is one. */
  readonly grpc: GrpcData | null;
  /** How many secrets were masked in it. */
  readonly redacted: number;
}

/**
 * What of a body is over the limit of its exchange, with `--raw` and redaction: decoded, masked, part after part as it arrives. The body is
 * what the exchange has, and after it these in order: whole where their `bytes` go up to what the exchange counts. So it is with
 * a message of a WebSocket.
 */
export interface BodyData extends Masked {
  readonly exchange: string;
  readonly connection: string;
  readonly url: string;
  /** Of a WebSocket, whose client asks: what the client says is of the request. */
  readonly side: 'request' | 'response';
  /** Of a message of a WebSocket: the `index` of its event, which comes when the message is over. */
  readonly index?: number;
  /** Where in the body, or in the message, it begins, in bytes as decoded. */
  readonly offset: number;
  readonly bytes: number;
  readonly body: string;
  readonly body_encoding: TextEncoding;
  /** How many secrets were masked in it; those of the exchange are not among them. */
  readonly redacted: number;
}

/** One event of a `text/event-stream` response, emitted when it arrived. */
export interface SseData extends Masked {
  readonly exchange: string;
  readonly connection: string;
  readonly url: string;
  /** From 0, within the response. */
  readonly index: number;
  /** `message` when the stream named none. */
  readonly event: string;
  readonly data: string;
  readonly last_event_id: string | null;
  /** How long to wait before connecting again: as the event says, or what came without data since the one before. */
  readonly retry_ms: number | null;
  /** Since the request's first byte; null where the request was not captured. */
  readonly since_request_ms: number | null;
  readonly truncated: boolean;
}

/**
 * One message of a WebSocket, or one control frame, emitted when its last byte arrived. `partial`: bytes of it are
 * missing, or cannot be decoded; `aborted`: its connection ended first. Where a direction can be read no further, its last event says why.
 */
export interface WebsocketData extends Masked {
  /** The one that opened it. */
  readonly exchange: string;
  readonly connection: string;
  readonly url: string;
  /** From 0, within the exchange, both directions together. One over the limit gets its number when it passes that, as its `body` events have it. */
  readonly index: number;
  readonly direction: Direction;
  /** null when the event tells only that the direction can be read no further. */
  readonly opcode: 'text' | 'binary' | 'close' | 'ping' | 'pong' | null;
  /** Unmasked and decompressed. null when there was none, where it could not be decoded, and of a close. */
  readonly body: string | null;
  readonly body_encoding: TextEncoding;
  /** As they were sent, heads of frames left out. */
  readonly bytes: number;
  /** Of a compressed message: bytes that came out. */
  readonly decoded_bytes: number;
  /** Frames that it came in. */
  readonly fragments: number;
  readonly compressed: boolean;
  readonly truncated: boolean;
  readonly close_code: number | null;
  readonly close_reason: string | null;
  readonly state: ExchangeState;
  /** Why it is not `complete`. */
  readonly reason: string | null;
  /** How many secrets were masked in it. */
  readonly redacted: number;
}

/** A process at the other end of a pipe. `used`: it was seen to read or write there. `held`: it had that end open. */
export interface McpPeer {
  readonly pid: number;
  readonly comm: string;
  readonly process: ProcessKey | null;
  readonly evidence: 'used' | 'held';
}

/**
 * JSON-RPC 2.0 over stdio, as of the Model Context Protocol: a request with its reply,
 * a notification, or a reply whose request was not captured. The event is the process's
 * that was seen to write or read it; its timestamp is that of the request.
 */
export interface McpData extends Masked {
  readonly kind: 'call' | 'notification' | 'reply';
  /** The process and a number of its own. */
  readonly call: string;
  readonly framing: 'line' | 'content-length';
  /** Whether the process asked, or was asked. */
  readonly role: 'client' | 'server';
  /** The pipe or socket of the request, or of the notification or lone reply. */
  readonly target: string;
  /** The process at its other end, traced or not; null where it is not known. */
  readonly peer: McpPeer | null;
  /** A number that JavaScript has not is told as its text. */
  readonly id: string | number | null;
  readonly method: string | null;
  /** JSON. */
  readonly params: string | null;
  readonly result: string | null;
  /** An error of another form is JSON, as `message`. */
  readonly error: { readonly code: number | null; readonly message: string } | null;
  readonly truncated: boolean;
  /** `aborted`: no reply came, or the call was cancelled first. */
  readonly state: ExchangeState;
  readonly reason: string | null;
  /**
   * How a reply is known to be to its request: `proven`, the same process is at the other end of both pipes, or they are one socket;
   * `inferred`, by its id alone. null where there are not both.
   */
  readonly pairing: 'proven' | 'inferred' | null;
  /** Request to reply. */
  readonly latency_ms: number | null;
}
