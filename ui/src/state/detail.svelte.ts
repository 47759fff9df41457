/** The whole of the selected event, and the stream of a selected exchange: fetched, cancelled when the selection moves on. */
import type { ApiEvent } from '../../../src/hub/api.ts';
import { type Api, ApiError } from '../lib/api.ts';
import { number, text } from '../lib/read.ts';
import type { SessionModel } from './session.svelte.ts';

/** More events of one stream than anybody reads; the rest is in the raw body. */
const STREAM_EVENTS = 5000;

export class Detail {
  event = $state.raw<ApiEvent | null>(null);
  stream = $state.raw<readonly ApiEvent[]>([]);
  error = $state('');
  #abort: AbortController | null = null;

  async load(api: Api, model: SessionModel, id: string): Promise<void> {
    this.close();
    const abort = new AbortController();
    this.#abort = abort;
    this.event = null;
    this.stream = [];
    this.error = '';
    try {
      const event = await api.event(id, abort.signal);
      if (abort.signal.aborted) return;
      this.event = event;
      if (event.source === 'http' && number(event.data, 'sse_events') > 0) await this.#loadStream(api, model, event, abort.signal);
    } catch (cause) {
      if (abort.signal.aborted) return;
      this.error = cause instanceof ApiError && cause.status === 404
        ? 'The hub does not have this event any more: it was older than its limits of size or age.'
        : String(cause instanceof Error ? cause.message : cause);
    }
  }

  close(): void {
    this.#abort?.abort();
    this.#abort = null;
  }

  async #loadStream(api: Api, model: SessionModel, event: ApiEvent, signal: AbortSignal): Promise<void> {
    const from = model.base.toOffset(event.timestamp);
    const exchange = text(event.data, 'exchange');
    const page = await api.events({
      session: model.meta.session,
      source: 'sse',
      from: event.timestamp,
      to: model.base.toEpoch(from + number(event.data, 'latency_ms') * 1e6 + 1e6),
      limit: STREAM_EVENTS,
      ...(event.process === null ? {} : { process: event.process }),
    }, signal);
    if (!signal.aborted) this.stream = page.items.filter((item) => text(item.data, 'exchange') === exchange);
  }
}
