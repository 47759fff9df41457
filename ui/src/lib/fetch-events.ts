/** Events of a session over REST, page by page. */
import type { ApiEvent, Page } from '../../../src/hub/api.ts';
import { type Api, PAGE_ITEMS } from './api.ts';

/** The newest events come first and alone, so that something is seen at once; then as many as the hub gives. */
const FIRST_EVENTS = 1000;

interface Source {
  readonly api: Api;
  readonly session: string;
  readonly signal: AbortSignal;
  /** Tells how many of them were new. */
  readonly take: (events: readonly ApiEvent[]) => number;
}

/** Newest first, up to about `rows` of them. The next page is on its way while one is taken in. Tells whether that was all. */
export async function fetchNewest(options: Source & { readonly rows: number }): Promise<boolean> {
  const { api, session, signal } = options;
  const fetchPage = (cursor: string | null): Promise<Page<ApiEvent>> =>
    api.events({ session, order: 'desc', ...(cursor === null ? { limit: FIRST_EVENTS } : { limit: PAGE_ITEMS, cursor }) }, signal);
  let taken = 0;
  let coming: Promise<Page<ApiEvent>> | null = fetchPage(null);
  while (coming !== null) {
    const page: Page<ApiEvent> = await coming;
    taken += page.items.length;
    coming = page.next === null || taken >= options.rows ? null : fetchPage(page.next);
    // Its failure is met at the next turn; without this it would count as unhandled until then.
    coming?.catch(() => undefined);
    // By time again, so that what has the same time keeps its order.
    options.take(page.items.toReversed());
    if (coming === null) return page.next === null;
  }
  return true;
}

export interface SpanOptions extends Source {
  /** Epoch nanoseconds, the second one exclusive. */
  readonly from: string;
  readonly to: string;
  readonly pages: number;
  readonly source?: string;
}

/** What lies in a stretch of time, oldest first. Tells how many of them were new. */
export async function fetchSpan(options: SpanOptions): Promise<number> {
  const { session, from, to, source } = options;
  let count = 0;
  let cursor: string | null = null;
  for (let page = 0; page < options.pages; page += 1) {
    const answer: Page<ApiEvent> = await options.api.events({
      session, from, to, limit: PAGE_ITEMS, ...(source === undefined ? {} : { source }), ...(cursor === null ? {} : { cursor }),
    }, options.signal);
    count += options.take(answer.items);
    cursor = answer.next;
    if (cursor === null) break;
  }
  return count;
}
