/**
 * A gRPC call as its exchange tells it (gRPC over HTTP/2): service and method in
 * the path, messages with a prefix of five bytes in the bodies, the status in the
 * trailers. Bodies come masked.
 */
import type { GrpcData, GrpcMessage, HeaderList } from '../../src/event.ts';
import { type ProtobufLimits, readMessage } from './protobuf.ts';

export interface GrpcLimits extends ProtobufLimits {
  readonly grpcMessages: number;
}

export interface GrpcParts {
  readonly path: string;
  readonly requestBody: Buffer;
  readonly responseBody: Buffer;
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

export function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:$|[+;])/i.test(contentType);
}

export function readCall({ path, requestBody, responseBody, fields, cut }: GrpcParts, limits: GrpcLimits): GrpcData {
  const [, service = '', method = ''] = /^\/([^/]*)\/(.*)$/.exec(path) ?? [];
  const code = valueOf(fields, 'grpc-status');
  const status = code !== null && /^\d{1,9}$/.test(code) ? Number(code) : null;
  const request = readMessages(requestBody, limits);
  const response = readMessages(responseBody, limits);
  return {
    service, method, status, status_name: status === null ? null : STATUS[status] ?? null, message: percentDecoded(valueOf(fields, 'grpc-message')),
    request_messages: request.messages, response_messages: response.messages, truncated: cut || request.truncated || response.truncated,
  };
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

function readMessages(body: Buffer, limits: GrpcLimits): { readonly messages: readonly GrpcMessage[]; readonly truncated: boolean } {
  const messages: GrpcMessage[] = [];
  let at = 0;
  while (at + PREFIX_BYTES <= body.length) {
    if (messages.length >= limits.grpcMessages) return { messages, truncated: true };
    const bytes = body.readUInt32BE(at + 1);
    const compressed = body[at] !== 0;
    const start = at + PREFIX_BYTES;
    at = start + bytes;
    const whole = at <= body.length;
    messages.push({ bytes, compressed, fields: whole && !compressed ? readMessage(body.subarray(start, at), limits) : null });
  }
  return { messages, truncated: at !== body.length };
}
