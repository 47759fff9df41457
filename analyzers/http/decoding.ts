/** Of what a body has to be decoded, as its head says. */
import { type Decoder, GRPC_WEB_TEXT, codingsOf, createDecoder } from '../coding/decoder.ts';
import { isWebText } from '../grpc/call.ts';
import type { Head } from '../http1/head.ts';
import type { Channel } from './channel.ts';

/** null: of nothing. */
export function decoderOf({ environment }: Channel, { headers }: Head): Decoder | null {
  const { 'content-encoding': content, 'transfer-encoding': transfer, 'content-type': types } = headers;
  const isText = types !== undefined && isWebText(types[0]);
  if (content === undefined && transfer === undefined && !isText) return null;
  const names = [...(isText ? [GRPC_WEB_TEXT] : []), ...codingsOf(content), ...codingsOf(transfer).filter((name) => name !== 'chunked')];
  return names.length === 0 ? null : createDecoder(environment, names);
}
