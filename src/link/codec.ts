/**
 * Framing of the link: bytes of a stream socket to messages and back. The
 * messages themselves are in protocol.ts. A frame of an unknown type is handed
 * on as `unknown`, so that a newer peer may add types within one protocol
 * version; anything else that does not fit is an error that ends the connection.
 */
import { z } from 'zod';
import { AgentsightError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import {
  FRAME, ackSchema, helloSchema, refusedSchema, statsSchema, welcomeSchema,
  type Ack, type Hello, type Refused, type Stats, type Welcome,
} from './protocol.ts';

export interface Frame {
  readonly type: number;
  readonly body: Buffer;
}

export type Message =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  | { readonly kind: 'batch'; readonly sequence: number; readonly jsonl: Buffer }
  | { readonly kind: 'ack'; readonly ack: Ack }
  | { readonly kind: 'stats'; readonly stats: Stats }
  | { readonly kind: 'refused'; readonly refused: Refused }
  | { readonly kind: 'bye' }
  | { readonly kind: 'unknown'; readonly type: number };

const LENGTH_BYTES = 4;
const TYPE_BYTES = 1;
const SEQUENCE_BYTES = 8;
/** What precedes the events in a batch frame. */
const BATCH_HEADER_BYTES = LENGTH_BYTES + TYPE_BYTES + SEQUENCE_BYTES;

/** The bytes of any message, copied into one buffer. Batches go out with less copying by `batchHeader`. */
export function encodeMessage(message: Exclude<Message, { kind: 'unknown' }>): Buffer {
  switch (message.kind) {
    case 'hello': return jsonFrame(FRAME.hello, message.hello);
    case 'welcome': return jsonFrame(FRAME.welcome, message.welcome);
    case 'ack': return jsonFrame(FRAME.ack, message.ack);
    case 'stats': return jsonFrame(FRAME.stats, message.stats);
    case 'refused': return jsonFrame(FRAME.refused, message.refused);
    case 'bye': return jsonFrame(FRAME.bye, {});
    case 'batch': return Buffer.concat([batchHeader(message.sequence, message.jsonl.length), message.jsonl]);
  }
}

/** Everything of a batch frame but the events, which the sender writes right after it. */
export function batchHeader(sequence: number, jsonlBytes: number): Buffer {
  const header = Buffer.allocUnsafe(BATCH_HEADER_BYTES);
  header.writeUInt32LE(TYPE_BYTES + SEQUENCE_BYTES + jsonlBytes, 0);
  header.writeUInt8(FRAME.batch, LENGTH_BYTES);
  header.writeBigUInt64LE(BigInt(sequence), LENGTH_BYTES + TYPE_BYTES);
  return header;
}

export interface FrameDecoder {
  /** Frames that are whole now. Throws LINK_PROTOCOL; the decoder is of no use afterwards. */
  push(chunk: Buffer): Frame[];
  /** Bytes of a frame that is not whole yet. */
  readonly pendingBytes: number;
}

/**
 * Chunks are joined once per frame, when the frame is whole, so that a large
 * batch arriving in small reads is not copied again and again.
 */
export function createFrameDecoder(limitBytes: number = LIMITS.linkFrameBytes): FrameDecoder {
  let chunks: Buffer[] = [];
  let pendingBytes = 0;
  /** Bytes needed before the next look: a length field, then the whole frame. */
  let neededBytes = LENGTH_BYTES;

  function join(): Buffer {
    const [first] = chunks;
    const joined = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, pendingBytes);
    chunks = [joined];
    return joined;
  }

  return {
    push(chunk) {
      if (chunk.length === 0) return [];
      chunks.push(chunk);
      pendingBytes += chunk.length;
      const frames: Frame[] = [];
      while (pendingBytes >= neededBytes) {
        const bytes = join();
        const length = bytes.readUInt32LE(0);
        if (length < TYPE_BYTES || length > limitBytes) throw protocolError(`a frame of ${length} bytes; the limit is ${limitBytes}`);
        const end = LENGTH_BYTES + length;
        if (pendingBytes < end) {
          neededBytes = end;
          break;
        }
        frames.push({ type: bytes.readUInt8(LENGTH_BYTES), body: bytes.subarray(LENGTH_BYTES + TYPE_BYTES, end) });
        const rest = bytes.subarray(end);
        chunks = rest.length === 0 ? [] : [rest];
        pendingBytes = rest.length;
        neededBytes = LENGTH_BYTES;
      }
      return frames;
    },
    get pendingBytes() {
      return pendingBytes;
    },
  };
}

/** Throws LINK_PROTOCOL when the body is not what its type promises. */
export function decodeFrame(frame: Frame): Message {
  switch (frame.type) {
    case FRAME.hello: return { kind: 'hello', hello: parseBody(helloSchema, frame.body, 'hello') };
    case FRAME.welcome: return { kind: 'welcome', welcome: parseBody(welcomeSchema, frame.body, 'welcome') };
    case FRAME.ack: return { kind: 'ack', ack: parseBody(ackSchema, frame.body, 'ack') };
    case FRAME.stats: return { kind: 'stats', stats: parseBody(statsSchema, frame.body, 'stats') };
    case FRAME.refused: return { kind: 'refused', refused: parseBody(refusedSchema, frame.body, 'refused') };
    case FRAME.bye: return { kind: 'bye' };
    case FRAME.batch: return parseBatch(frame.body);
    default: return { kind: 'unknown', type: frame.type };
  }
}

function parseBatch(body: Buffer): Message {
  if (body.length < SEQUENCE_BYTES) throw protocolError('a batch without its sequence');
  const sequence = Number(body.readBigUInt64LE(0));
  if (!Number.isSafeInteger(sequence) || sequence === 0) throw protocolError('a batch with an impossible sequence');
  return { kind: 'batch', sequence, jsonl: body.subarray(SEQUENCE_BYTES) };
}

function parseBody<T>(schema: z.ZodType<T>, body: Buffer, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw protocolError(`an unreadable ${name}: not JSON`, cause);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw protocolError(`an unreadable ${name}: ${z.prettifyError(result.error)}`, result.error);
  return result.data;
}

function jsonFrame(type: number, message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + TYPE_BYTES + body.length);
  frame.writeUInt32LE(TYPE_BYTES + body.length, 0);
  frame.writeUInt8(type, LENGTH_BYTES);
  body.copy(frame, LENGTH_BYTES + TYPE_BYTES);
  return frame;
}

function protocolError(what: string, cause?: unknown): AgentsightError {
  return new AgentsightError('LINK_PROTOCOL', `could not read from the link: the other side sent ${what}`, {
    cause,
    hint: 'is something else listening on this socket, or a hub of another version?',
  });
}
