/**
 * Engine sessions. In chdb a `SET` outlives its query and stays with the
 * session: a deduplication token set for one insert would silently swallow the
 * next ones. So a request that sets anything gets a session of its own, which
 * is then closed; only requests that set nothing share the pooled ones. A session
 * whose query failed is closed too: after a cancelled one chdb gives what that
 * had written so far as the result of the next query.
 */
import type { Session } from 'chdb';

export interface SessionPoolOptions {
  readonly open: () => Session;
  readonly concurrency: number;
  readonly waiting: number;
}

export class TooManyRequests extends Error {}

export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #idle: Session[] = [];
  readonly #waiters: (() => void)[] = [];
  #running = 0;
  #closed = false;

  constructor(options: SessionPoolOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  /** Runs `work` on a session; `fresh` when it will change the session's state. */
  async use<T>(fresh: boolean, work: (session: Session) => Promise<T>): Promise<T> {
    await this.#enter();
    let session: Session | undefined;
    let reusable = false;
    try {
      session = (fresh ? undefined : this.#idle.pop()) ?? this.#options.open();
      const result = await work(session);
      reusable = !fresh && !this.#closed;
      return result;
    } finally {
      this.#leave(session, reusable);
    }
  }

  close(): void {
    this.#closed = true;
    for (const session of this.#idle.splice(0)) session.close();
  }

  async #enter(): Promise<void> {
    if (this.#running < this.#options.concurrency) {
      this.#running += 1;
      return;
    }
    if (this.#waiters.length >= this.#options.waiting) {
      throw new TooManyRequests(`${this.#options.waiting} requests wait already`);
    }
    // Whoever leaves hands its place over, so `running` is not touched here.
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  #leave(session: Session | undefined, reusable: boolean): void {
    if (session !== undefined && reusable) this.#idle.push(session);
    else session?.close();
    const next = this.#waiters.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}
