/**
 * Which events of a session fit an expression: the hub is asked, newest first.
 * While the session runs, what came since is asked for, and again as long as
 * the hub says that its store does not have yet all that the live stream showed.
 */
import { type Api, ApiError, PAGE_ITEMS } from '../lib/api.ts';
import { STORE_ROWS } from '../lib/event-store.ts';

export interface WhereSearchOptions {
  readonly api: Api;
  readonly session: string;
  /** Epoch nanoseconds of the oldest event that came since it was asked last, or null. */
  readonly takeFreshFrom: () => string | null;
}

/** How often what came live is asked for. */
export const REFRESH_MS = 1000;

export class WhereSearch {
  /** Ids of the events that fit; replaced as pages come. */
  ids = $state.raw<ReadonlySet<string>>(new Set());
  phase = $state<'idle' | 'asking' | 'done' | 'failed'>('idle');
  error = $state('');
  /** More fit than the page can hold: the oldest are left out. */
  isCut = $state(false);

  readonly #options: WhereSearchOptions;
  #text = '';
  #abort = new AbortController();
  /** Time of the oldest event that may have been missing in the last answer. */
  #from: bigint | null = null;

  constructor(options: WhereSearchOptions) {
    this.#options = options;
  }

  /** Begins anew with an expression, which can be read. */
  async start(text: string): Promise<void> {
    this.stop();
    this.#text = text;
    this.#takeFresh();
    this.ids = new Set();
    this.isCut = false;
    await this.#ask(null);
  }

  /** Asks for what came since. */
  async refresh(): Promise<void> {
    if (this.phase === 'asking' || this.phase === 'idle') return;
    this.#takeFresh();
    if (this.phase === 'failed') await this.#ask(null);
    else if (this.#from !== null) await this.#ask(String(this.#from));
  }

  stop(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.phase = 'idle';
  }

  #takeFresh(): void {
    const fresh = this.#options.takeFreshFrom();
    if (fresh !== null && (this.#from === null || BigInt(fresh) < this.#from)) this.#from = BigInt(fresh);
  }

  async #ask(from: string | null): Promise<void> {
    const { signal } = this.#abort;
    this.phase = 'asking';
    try {
      let cursor: string | null = null;
      let isStoring = false;
      do {
        const page = await this.#options.api.events({
          session: this.#options.session, where: this.#text, order: 'desc', limit: PAGE_ITEMS,
          ...(from === null ? {} : { from }), ...(cursor === null ? {} : { cursor }),
        }, signal);
        if (page.items.some(({ id }) => !this.ids.has(id))) this.ids = new Set([...this.ids, ...page.items.map(({ id }) => id)]);
        cursor = page.next;
        isStoring ||= page.storing;
        this.isCut ||= cursor !== null && this.ids.size >= STORE_ROWS;
      } while (cursor !== null && this.ids.size < STORE_ROWS);
      if (!isStoring) this.#from = null;
      this.phase = 'done';
      this.error = '';
    } catch (cause) {
      if (signal.aborted) return;
      this.phase = 'failed';
      this.error = cause instanceof ApiError ? cause.message : String(cause);
    }
  }
}
