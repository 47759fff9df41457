/** A row of the exchange list as the API gives it. */
import type { Exchange } from '../api.ts';
import type { ExchangeRow } from './event-queries.ts';

export function exchangeJson(row: ExchangeRow): string {
  const { fields } = row;
  return JSON.stringify({
    id: row.id,
    exchange: fields.exchange,
    timestamp: row.time,
    process: row.process === '' ? null : row.process,
    session: row.session === '' ? null : row.session,
    pid: row.pid,
    comm: row.comm,
    state: fields.state,
    method: fields.method,
    url: fields.url,
    host: fields.host,
    status: fields.status,
    latency_ms: fields.latency_ms,
    ttfb_ms: fields.ttfb_ms,
    request_body_bytes: Number(fields.request_body_bytes),
    response_body_bytes: Number(fields.response_body_bytes),
    sse_events: fields.sse_events === null ? null : Number(fields.sse_events),
  } satisfies Exchange);
}
