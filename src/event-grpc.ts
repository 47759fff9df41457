/**
 * What an exchange says as a gRPC call. Messages are read without their schema:
 * numbers of fields and wire types are known, names and meanings are not.
 */
import type { TextEncoding } from './event.ts';

export interface GrpcData {
  /** `package.Service`, from the path. */
  readonly service: string;
  readonly method: string;
  /** `grpc-status`, from the trailers; null while there was none. */
  readonly status: number | null;
  /** `OK`, `NOT_FOUND` … */
  readonly status_name: string | null;
  readonly message: string | null;
  readonly request_messages: readonly GrpcMessage[];
  readonly response_messages: readonly GrpcMessage[];
  /** Further messages, or bytes of the last one, are not in the lists. */
  readonly truncated: boolean;
}

export interface GrpcMessage {
  /** Length that its prefix tells. */
  readonly bytes: number;
  readonly compressed: boolean;
  /** Decoded, where it is compressed. null where it is cut, cannot be decoded, or is no protobuf. */
  readonly fields: readonly ProtobufField[] | null;
}

export interface ProtobufField {
  readonly number: number;
  readonly wire: 'varint' | 'fixed64' | 'bytes' | 'fixed32' | 'group';
  /** Of a number: its unsigned decimal digits. Of bytes: text or base64, as `encoding` says. */
  readonly value: string;
  readonly encoding: TextEncoding;
  /** A group's fields; of bytes, what they are if they are a message: nothing on the wire says so. */
  readonly fields: readonly ProtobufField[] | null;
  readonly guessed: boolean;
}
