/** What a row says of a JSON-RPC call: what was asked, of whom, and what came of it. */
import { formatDuration } from './format.ts';
import { type Data, numberOrNull, record, text, textOrNull } from './read.ts';
import type { Summary } from './row.ts';

export function summariseMcp(data: Data): Summary {
  const latencyMs = numberOrNull(data, 'latency_ms');
  const error = record(data, 'error');
  const state = text(data, 'state');
  const peer = record(data, 'peer');
  const said = error === null ? textOrNull(data, 'params') ?? textOrNull(data, 'result') ?? '' : text(error, 'message');
  return {
    kind: textOrNull(data, 'method') ?? text(data, 'kind'),
    title: said,
    note: [
      peer === null ? '' : `${text(data, 'role') === 'client' ? 'to' : 'from'} ${text(peer, 'comm')}`,
      state === 'complete' ? '' : state, latencyMs === null ? '' : formatDuration(latencyMs * 1e6),
    ].filter((part) => part !== '').join(' · '),
    tone: error !== null ? 'error' : state === 'complete' ? 'plain' : 'warn',
    bytes: (textOrNull(data, 'params')?.length ?? 0) + (textOrNull(data, 'result')?.length ?? 0),
    latencyMs,
  };
}
