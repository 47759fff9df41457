/** One request with its response, and the `http` event that is made of them. */
import type { Endpoint, HeaderList, HttpData, HttpEvent, HttpFlag, SecretMarks } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import { joinMarks } from '../redact/marks.ts';
import { type Call, type Framed, isGrpc, readCall } from '../grpc/call.ts';
import { releaseBody } from './body.ts';
import type { Channel } from './channel.ts';
import { NO_MESSAGES } from './grpc-messages.ts';
import type { MaskedHead, Message } from './message.ts';

/** A response of status 1xx. */
export interface Interim extends MaskedHead {
  readonly at: Nanoseconds;
}

export interface Exchange {
  readonly id: string;
  /** In HTTP/2. */
  readonly stream: number | null;
  readonly pushed: boolean;
  /** In order of creation on its connection. */
  readonly number: number;
  readonly request: Message | null;
  response: Message | null;
  /** In order. */
  readonly interim: Interim[];
  readonly url: string;
  readonly path: string;
  readonly host: string | null;
  /** First byte of the request, or of the response where there is no request. */
  readonly started: Nanoseconds;
  /** First byte of the request. */
  readonly asked: Nanoseconds | null;
  /** Its response may be in a gap. */
  suspect: string | null;
  /** Why its response may be that of another request. */
  unsure: string | null;
  /** Its response is that of this request if the client keeps to what it was seen to do; nothing on the wire proves it. */
  inferred: boolean;
}

type Address = Pick<Exchange, 'url' | 'path' | 'host'>;
type State = Pick<HttpData, 'state' | 'reason'>;

const NO_REQUEST = 'request not captured';
const NO_FLAGS: readonly HttpFlag[] = [];
const NO_HEADERS = Object.freeze(Object.create(null)) as HttpData['request_headers'];

export function exchangeOf(channel: Channel, id: string, number: number, request: Message): Exchange {
  const { target, method, headers, authority } = request.head;
  const { url, path, host } = addressOf(method, target, authority ?? headers['host']?.[0], originOf(channel, request));
  return {
    id, stream: null, pushed: false, number, request, response: null, interim: [], url, path, host, started: request.first.timestamp, asked: request.first.timestamp, suspect: null, unsure: null, inferred: false,
  };
}

export function exchangeWithoutRequest(id: string, number: number, started: Nanoseconds): Exchange {
  return { id, stream: null, pushed: false, number, request: null, response: null, interim: [], url: '', path: '', host: null, started, asked: null, suspect: null, unsure: null, inferred: false };
}

/** What stands before the path of a URL: `https://`, and the server's address for a request that names none. */
interface Origin {
  readonly scheme: string;
  readonly authority: string | null;
}

function originOf({ tls, endpoint }: Channel, { direction }: Message): Origin {
  const server = direction === 'write' ? endpoint?.remote : endpoint?.local;
  return { scheme: tls ? 'https://' : 'http://', authority: server === undefined ? null : authorityOf(server) };
}

/** null of a unix socket, which a URL cannot name. */
function authorityOf({ address, port }: Endpoint['remote']): string | null {
  if (port === null) return null;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The four forms of a request's target (RFC 9112 §3.2), made absolute as §3.3 says. */
function addressOf(method: string, target: string, hostHeader: string | undefined, { scheme, authority: socket }: Origin): Address {
  const host = hostHeader === undefined || hostHeader === '' ? null : hostHeader;
  if (method === 'CONNECT' && !target.startsWith('/')) return { url: target, path: '', host: target };
  const named = host ?? socket;
  if (target.startsWith('/')) {
    return { url: named === null ? target : `${scheme}${named}${target}`, path: pathOf(target), host };
  }
  if (target === '*') return { url: named === null ? target : `${scheme}${named}`, path: target, host };
  const authority = target.indexOf('://');
  if (authority === -1) return { url: target, path: pathOf(target), host };
  const slash = target.indexOf('/', authority + 3);
  const end = slash === -1 ? target.length : slash;
  return {
    url: target, path: slash === -1 ? '/' : pathOf(target.slice(slash)),
    host: target.slice(target.lastIndexOf('@', end) > authority ? target.lastIndexOf('@', end) + 1 : authority + 3, end),
  };
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/** Emits the exchange, at most once. `end`: why it will not become complete, where it has not. */
export function emitExchange(channel: Channel, exchange: Exchange, end: string): void {
  const { environment } = channel;
  const state = stateOf(exchange, end);
  environment.counters.add('exchanges');
  if (state.state === 'aborted') environment.counters.add('exchanges_aborted');
  if (state.state === 'partial') environment.counters.add('exchanges_partial');
  const event = httpEvent(channel, exchange, state);
  environment.counters.add('masked', event.data.redacted);
  if (exchange.request !== null) releaseBody(exchange.request.body, environment);
  if (exchange.response !== null) releaseBody(exchange.response.body, environment);
  environment.derive(event);
}

function stateOf({ request, response, suspect, unsure }: Exchange, end: string): State {
  const fault = request === null ? NO_REQUEST : request.fault ?? response?.fault ?? suspect ?? (response === null ? null : unsure);
  if (fault !== null) return { state: 'partial', reason: fault };
  const complete = request?.done === true && response?.done === true && end === '';
  return complete ? { state: 'complete', reason: null } : { state: 'aborted', reason: end };
}

/** Each field by its name: objects that are spread into it cost more than all else. */
function httpEvent(channel: Channel, exchange: Exchange, { state, reason }: State): HttpEvent {
  const { request, response } = exchange;
  const { timestamp, pid, comm, process, session } = request?.first ?? response?.first ?? channel.carrier;
  const head = response?.head;
  const call = callOf(channel, exchange);
  const data: HttpData = {
    exchange: exchange.id, connection: channel.connection, stream: exchange.stream, pushed: exchange.pushed,
    endpoint: channel.endpoint, tls: channel.tls, state, reason, pairing: pairingOf(exchange), role: roleOf(exchange),
    method: request?.head.method ?? 'UNKNOWN', url: exchange.url, path: exchange.path, host: exchange.host,
    http_version: request?.head.version ?? head?.version ?? '1.1',
    status: head === undefined || head.status === 0 ? null : head.status,
    status_text: head?.statusText ?? null,
    response_headers: head?.headers ?? NO_HEADERS,
    response_header_list: head?.list ?? [],
    response_body: response?.text.text ?? null,
    response_body_encoding: response?.text.encoding ?? 'utf8',
    response_body_bytes: response?.body.total ?? 0,
    response_body_truncated: response?.body.truncated ?? false,
    response_body_coding: codingOf(response),
    response_decoded_bytes: response?.body.decoded ?? 0,
    request_end_ms: request === null ? null : differenceMs(request.last, request.first.timestamp),
    response_start_ms: request === null || response === null ? null : differenceMs(response.first.timestamp, request.first.timestamp),
    latency_ms: request === null || response === null ? null : differenceMs(response.last, request.first.timestamp),
    // A server may answer before it has read everything: then the wait was none.
    ttfb_ms: request === null || response === null ? null : Math.max(0, differenceMs(response.first.timestamp, request.last)),
    sse_events: response?.stream?.count ?? null,
    flags: flagsOf(exchange),
    interim: interimOf(exchange),
    request_headers: request?.head.headers ?? NO_HEADERS,
    request_header_list: request?.head.list ?? [],
    request_trailers: request?.trailers ?? [],
    response_trailers: call === null ? response?.trailers ?? [] : [...response?.trailers ?? [], ...call.trailers],
    unknown_fields: unknownFields(request) + unknownFields(response),
    request_body: request?.text.text ?? null,
    request_body_encoding: request?.text.encoding ?? 'utf8',
    request_body_bytes: request?.body.total ?? 0,
    request_body_truncated: request?.body.truncated ?? false,
    request_body_coding: codingOf(request),
    request_decoded_bytes: request?.body.decoded ?? 0,
    grpc: call?.grpc ?? null,
    redacted: exchange.interim.reduce((sum, one) => sum + one.redacted, (request?.redacted ?? 0) + (response?.redacted ?? 0)),
  };
  const secrets = secretsIn(channel, exchange);
  return { timestamp, source: 'http', pid, comm, data: secrets.length === 0 ? data : { ...data, secrets }, id: channel.environment.nextId(), process, session };
}

function pairingOf({ request, response, inferred }: Exchange): HttpData['pairing'] {
  if (request === null || response === null) return null;
  return inferred ? 'inferred' : 'proven';
}

function secretsIn({ environment }: Channel, { request, response, interim }: Exchange): SecretMarks {
  const onFull = (count: number): void => environment.counters.add('secrets_unlisted', count);
  const secrets = interim.reduce((marks, one) => joinMarks(marks, one.secrets, onFull), request?.secrets ?? []);
  return joinMarks(secrets, response?.secrets ?? [], onFull);
}

/** Keeps what announces a response, up to the limit. */
export function addInterim(channel: Channel, kept: Interim[], head: MaskedHead): void {
  const { limits, counters } = channel.environment;
  if (kept.length >= limits.httpInterimResponses) counters.add('interim_overrun');
  else kept.push({ ...head, at: channel.carrier.timestamp });
}

function interimOf({ request, interim, started }: Exchange): HttpData['interim'] {
  return interim.map(({ head, at }) => ({ status: head.status, headers: head.headers, since_request_ms: request === null ? null : differenceMs(at, started) }));
}

function flagsOf({ request, response, interim }: Exchange): HttpData['flags'] {
  const ofRequest = request?.flags ?? NO_FLAGS;
  const ofResponse = interim.length === 0 ? response?.flags ?? NO_FLAGS : [...new Set([...interim.flatMap(({ head }) => head.flags), ...response?.flags ?? NO_FLAGS])];
  if (ofRequest.length + ofResponse.length === 0) return [];
  return [...ofRequest.map((flag) => `request.${flag}` as const), ...ofResponse.map((flag) => `response.${flag}` as const)];
}

function unknownFields(message: Message | null): number {
  return message === null ? 0 : unknownIn(message.head.list) + unknownIn(message.trailers);
}

function unknownIn(list: HeaderList): number {
  let count = 0;
  for (const field of list) {
    if (field[0] === null || field[1] === null) count++;
  }
  return count;
}

function callOf({ environment }: Channel, { request, response, path }: Exchange): Call | null {
  if (!isGrpc(typeOf(request)) && !isGrpc(typeOf(response))) return null;
  const call = readCall({
    path, request: framedIn(request), response: framedIn(response), fields: [...response?.trailers ?? [], ...response?.head.list ?? []],
    cut: [request, response].some((message) => message !== null && (message.fault !== null || message.body.truncated)),
  }, environment.limits);
  environment.counters.add('grpc_calls');
  if (call.grpc.truncated) environment.counters.add('grpc_truncated');
  return call;
}

function typeOf(message: Message | null): string | undefined {
  return message?.head.headers['content-type']?.[0];
}

function framedIn(message: Message | null): Framed {
  const bytes = message === null || message.text.text === null ? Buffer.alloc(0) : Buffer.from(message.text.text, message.text.encoding);
  return { bytes, decoded: message?.decoded.messages ?? NO_MESSAGES.messages };
}

/** null where no byte of a coded body came, as in an answer to HEAD. */
function codingOf(message: Message | null): string | null {
  return message?.decoder == null || message.body.total === 0 ? null : message.decoder.names;
}

/** A client writes requests and reads responses. */
function roleOf({ request, response }: Exchange): HttpData['role'] {
  if (request !== null) return request.direction === 'write' ? 'client' : 'server';
  return response?.direction === 'write' ? 'server' : 'client';
}
