/** What a row says of a message on a WebSocket: which way it went, how large it was, and its first words. */
import { formatBytes } from './format.ts';
import { type Data, number, numberOrNull, text, textOrNull } from './read.ts';
import type { Summary } from './row.ts';

export function summariseWebsocket(data: Data): Summary {
  const state = text(data, 'state');
  const bytes = number(data, 'bytes');
  const code = numberOrNull(data, 'close_code');
  const closing = code === null ? null : `${code} ${text(data, 'close_reason')}`.trimEnd();
  return {
    kind: textOrNull(data, 'opcode') ?? 'end',
    title: closing ?? textOrNull(data, 'body') ?? textOrNull(data, 'reason') ?? '',
    note: [
      text(data, 'direction') === 'write' ? 'out' : 'in',
      bytes === 0 ? '' : formatBytes(bytes),
      text(data, 'body_encoding') === 'base64' ? 'base64' : '',
      state === 'complete' ? '' : state,
    ].filter((part) => part !== '').join(' · '),
    tone: state === 'complete' ? 'plain' : 'warn',
    bytes,
    exchange: textOrNull(data, 'exchange'),
  };
}
