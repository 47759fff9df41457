/**
 * A gRPC call as its exchange tells it (gRPC over HTTP/2, and gRPC-Web): service and method in
 * the path, messages with a prefix of five bytes in the bodies, the status in the
 * trailers, which gRPC-Web has in the body too, as its last frame. Bodies come masked, and decoded of base64.
 */
import type { GrpcData, GrpcMessage, HeaderList } from '../../src/event.ts';
import { type ProtobufLimits, readMessage } from './protobuf.ts';

export interface GrpcLimits extends ProtobufLimits {
  readonly grpcMessages: number;
}

/** A body of messages. */
export interface Framed {
  readonly bytes: Buffer;
  /** What those say that are compressed, by where they begin. */
  readonly decoded: ReadonlyMap<number, Buffer>;
}

export interface GrpcParts {
  readonly path: string;
  readonly request: Framed;
  readonly response: Framed;
  /** Trailers of the response, and its headers, which hold the status of a call that has no messages. */
  readonly fields: HeaderList;
  /** The bodies are not whole. */
  readonly cut: boolean;
}

const STATUS = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];
const PREFIX_BYTES = 5;
/** In the first byte of a prefix, in gRPC-Web: what follows is the trailers. Its other bits say that it is compressed. */
const TRAILERS = 0x80;

export function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:-web|-web-text)?(?:$|[+; ])/i.test(contentType);
}

/** Whether the body is in base64. */
export function isWebText(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc-web-text(?:$|[+; ])/i.test(contentType);
}

export interface Call {
  readonly grpc: GrpcData;
  /** That were in the body of the response. */
  readonly trailers: HeaderList;
}

export function readCall({ path, request: asked, response: answered, fields, cut }: GrpcParts, limits: GrpcLimits): Call {
  const [, service = '', method = ''] = /^\/([^/]*)\/(.*)$/.exec(path) ?? [];
  const request = readMessages(asked, limits);
  const response = readMessages(answered, limits);
  const all = [...response.trailers, ...fields];
  const code = valueOf(all, 'grpc-status');
  const status = code !== null && /^\d{1,9}$/.test(code) ? Number(code) : null;
  const grpc: GrpcData = {
    service, method, status, status_name: status === null ? null : STATUS[status] ?? null, message: percentDecoded(valueOf(all, 'grpc-message')),
    request_messages: request.messages, response_messages: response.messages, truncated: cut || request.truncated || response.truncated,
  };
  return { grpc, trailers: response.trailers };
}

function valueOf(fields: HeaderList, name: string): string | null {
  return fields.find(([one]) => one === name)?.[1] ?? null;
}

/** Escapes that are none stay as they are. */
function percentDecoded(text: string | null): string | null {
  if (text === null || !text.includes('%')) return text;
  const bytes = text.replaceAll(/%([0-9a-fA-F]{2})/g, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

interface Frames {
  readonly messages: readonly GrpcMessage[];
  readonly trailers: HeaderList;
  readonly truncated: boolean;
}

function readMessages({ bytes: body, decoded }: Framed, limits: GrpcLimits): Frames {
  const messages: GrpcMessage[] = [];
  let at = 0;
  while (at + PREFIX_BYTES <= body.length) {
    const flags = body[at] as number;
    const bytes = body.readUInt32BE(at + 1);
    const compressed = (flags & ~TRAILERS) !== 0;
    const start = at + PREFIX_BYTES;
    const content = body.subarray(start, start + bytes);
    at = start + bytes;
    const isWhole = at <= body.length;
    if ((flags & TRAILERS) !== 0) return { messages, trailers: compressed ? [] : readTrailers(content), truncated: compressed || at !== body.length };
    if (messages.length >= limits.grpcMessages) return { messages, trailers: [], truncated: true };
    const said = compressed ? decoded.get(start) : content;
    messages.push({ bytes, compressed, fields: isWhole && said !== undefined ? readMessage(said, limits) : null });
  }
  return { messages, trailers: [], truncated: at !== body.length };
}

/** Lines as HTTP/1 has them, names in lower case. What a cut leaves of the last one is none. */
function readTrailers(bytes: Buffer): HeaderList {
  return bytes.toString('latin1').split('\r\n').slice(0, -1).flatMap((line) => {
    const colon = line.indexOf(':');
    return colon < 1 ? [] : [[line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const];
  });
}
