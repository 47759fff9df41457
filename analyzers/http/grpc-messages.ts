/**
 * Messages of gRPC that are compressed by themselves (gRPC over HTTP/2, "Message Encoding"), decoded. In the body they are masked
 * whole, because no mask can be put into compressed bytes; so they are decoded before, and what comes out is masked.
 */
import type { SecretMarks } from '../../src/event.ts';
import { codingsOf, createDecoder } from '../coding/decoder.ts';
import { isGrpc } from '../grpc/call.ts';
import type { Head } from '../http1/head.ts';
import { type Range, masked, secretsOf } from './mask.ts';
import type { Environment } from './options.ts';

export interface DecodedMessages {
  /** By where they begin in the body; those that cannot be decoded are not there. */
  readonly messages: ReadonlyMap<number, Buffer>;
  readonly bytes: number;
  /** The mask over each in the body counts as one; these tell which they are. */
  readonly secrets: SecretMarks;
}

export const NO_MESSAGES: DecodedMessages = { messages: new Map(), bytes: 0, secrets: [] };

/** Before a message in the body. */
const LENGTH_BYTES = 4;

/** `compressed`: where they are in the body, whole or cut. After one that cannot be decoded none is. */
export function decodeMessages(environment: Environment, head: Head, body: Buffer, compressed: readonly Range[]): DecodedMessages {
  if (compressed.length === 0 || !isGrpc(head.headers['content-type']?.[0])) return NO_MESSAGES;
  const { limits, locate } = environment;
  const names = codingsOf(head.headers['grpc-encoding']);
  if (names.length === 0) return NO_MESSAGES;
  const messages = new Map<number, Buffer>();
  let bytes = 0;
  let secrets: SecretMarks = [];
  for (const { start, end } of compressed.slice(0, limits.grpcMessages)) {
    if (start < LENGTH_BYTES || end - start !== body.readUInt32BE(start - LENGTH_BYTES)) break;
    const decoded = decode(environment, names, { bytes: body.subarray(start, end), kept: bytes });
    if (decoded === null) break;
    const ranges = locate?.('body', decoded) ?? [];
    const shown = masked(decoded, ranges);
    messages.set(start, shown);
    bytes += shown.length;
    secrets = [...secrets, ...secretsOf(ranges)];
  }
  return { messages, bytes, secrets };
}

/** All messages of a body together are kept as one body is. */
function decode(environment: Environment, names: readonly string[], { bytes, kept }: { readonly bytes: Buffer; readonly kept: number }): Buffer | null {
  const { limits, bodies, counters } = environment;
  const decoder = createDecoder(environment, names);
  const output: Buffer[] = [];
  let left = Math.min(limits.httpBodyBytes, bodies.limit - bodies.used) - kept;
  decoder.push(bytes, (decoded) => {
    left -= decoded.length;
    if (left >= 0) output.push(Buffer.from(decoded));
    return left >= 0;
  });
  decoder.end();
  decoder.close();
  if (left < 0) counters.add('bodies_truncated');
  return decoder.fault === null && left >= 0 ? Buffer.concat(output) : null;
}
