/** Of what a body has to be decoded, as its head says. */
import { type Decoder, GRPC_WEB_TEXT, codingsOf, createDecoder } from '../coding/decoder.ts';
import { isWebText } from '../grpc/call.ts';
import type { Head } from '../http1/head.ts';
import type { Channel } from './channel.ts';

/** null: of nothing. */
export function decoderOf({ environment }: Channel, { headers, version }: Head): Decoder | null {
  const { 'content-encoding': content, 'content-type': types } = headers;
  // HTTP/2 has no transfer codings (RFC 9113 §8.2.2).
  const transfer = version === '2' ? undefined : headers['transfer-encoding'];
  const isText = types !== undefined && isWebText(types[0]);
  if (content === undefined && transfer === undefined && !isText) return null;
  const names = [...(isText ? [GRPC_WEB_TEXT] : []), ...codingsOf(content), ...codingsOf(transfer).filter((name) => name !== 'chunked')];
  return names.length === 0 ? null : createDecoder(environment, names);
}
