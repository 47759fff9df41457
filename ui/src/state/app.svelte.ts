/** The page: its connection to the hub, the sessions there are, and the one that is shown. */
import type { Info, Session } from '../../../src/hub/api.ts';
import { type Api, ApiError, createApi } from '../lib/api.ts';
import { type UrlState, formatUrl, parseUrl, sameSelection } from '../lib/url-state.ts';
import { SessionModel } from './session.svelte.ts';
import { ThemeState } from './theme.svelte.ts';
import { Workspace } from './workspace.svelte.ts';

const TOKEN_KEY = 'agentsight.token';
const SESSIONS_EVERY_MS = 3000;
const URL_DELAY_MS = 200;
/** Sessions beyond the newest that were opened by address, and stay in the switcher. */
const OLDER_SESSIONS = 20;

export type Connection = 'connecting' | 'connected' | 'unreachable' | 'unauthorised';

export class App {
  readonly theme = new ThemeState();
  readonly api: Api;
  connection = $state<Connection>('connecting');
  sessions = $state.raw<readonly Session[]>([]);
  info = $state.raw<Info | null>(null);
  workspace = $state.raw<Workspace | null>(null);
  helpOpen = $state(false);
  toast = $state('');
  readonly redactionOff = $derived(this.info?.collectors.some((item) => item.connected && !item.redaction) ?? false);

  readonly #abort = new AbortController();
  #pollTimer: ReturnType<typeof setTimeout> | null = null;
  #urlTimer: ReturnType<typeof setTimeout> | null = null;
  #toastTimer: ReturnType<typeof setTimeout> | null = null;
  #wanted: UrlState;
  #older: readonly Session[] = [];

  constructor() {
    this.api = createApi({ base: new URL('.', location.href.replace(/[?#].*$/, '')).href, token: takeToken() });
    this.#wanted = parseUrl(location.search);
  }

  start(): void {
    addEventListener('popstate', this.#onPopState);
    void this.#poll();
  }

  close(): void {
    removeEventListener('popstate', this.#onPopState);
    this.#abort.abort();
    for (const timer of [this.#pollTimer, this.#urlTimer, this.#toastTimer]) if (timer !== null) clearTimeout(timer);
    this.workspace?.model.close();
    this.theme.close();
  }

  openSession(session: Session): void {
    if (this.workspace?.model.meta.session === session.session) return;
    this.#wanted = { ...parseUrl(''), session: session.session };
    this.#open(session);
  }

  retry(): void {
    this.workspace?.model.retry();
    if (this.#pollTimer !== null) clearTimeout(this.#pollTimer);
    void this.#poll();
  }

  say(text: string): void {
    this.toast = text;
    if (this.#toastTimer !== null) clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => { this.toast = ''; }, Math.max(2400, text.length * 70));
  }

  async copy(text: string, what: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.say(`${what} copied`);
    } catch {
      this.say('The browser did not allow copying');
    }
  }

  copyLink(): Promise<void> {
    const { workspace } = this;
    if (workspace === null) return Promise.resolve();
    // A link shows what is seen now, so a following window is frozen in it.
    const { span, model } = workspace;
    const state = { ...workspace.toUrl(), from: model.base.toEpoch(span.from), to: model.base.toEpoch(span.to) };
    return this.copy(new URL(formatUrl(state), location.href.replace(/[?#].*$/, '')).href, 'Link');
  }

  /** Writes the state into the address; a new selection or session is a step of the history. */
  syncUrl(state: UrlState): void {
    if (this.#urlTimer !== null) clearTimeout(this.#urlTimer);
    this.#urlTimer = setTimeout(() => {
      const search = formatUrl(state);
      if (search === location.search) return;
      const shown = parseUrl(location.search);
      const step = shown.session !== null && (shown.session !== state.session || !sameSelection(shown.selection, state.selection));
      const target = `${location.pathname}${search}`;
      if (step) history.pushState(null, '', target);
      else history.replaceState(null, '', target);
    }, URL_DELAY_MS);
  }

  async #poll(): Promise<void> {
    const { signal } = this.#abort;
    try {
      const [page, info] = await Promise.all([this.api.sessions(signal), this.info === null ? this.api.info(signal) : null]);
      if (info !== null) this.info = info;
      this.connection = 'connected';
      await this.#takeSessions(page.items);
    } catch (cause) {
      if (signal.aborted) return;
      const status = cause instanceof ApiError ? cause.status : 0;
      this.connection = status === 401 || status === 403 ? 'unauthorised' : 'unreachable';
    }
    this.#pollTimer = setTimeout(() => void this.#poll(), SESSIONS_EVERY_MS);
  }

  async #takeSessions(newest: readonly Session[]): Promise<void> {
    const known = new Set(newest.map((item) => item.session));
    this.#older = this.#older.filter((item) => !known.has(item.session));
    this.sessions = [...newest, ...this.#older];
    const shown = this.workspace;
    if (shown === null) {
      const wanted = await this.#find(this.#wanted.session) ?? this.sessions[0];
      if (wanted !== undefined && this.workspace === null) this.#open(wanted);
      return;
    }
    const fresh = newest.find((item) => item.session === shown.model.meta.session);
    if (fresh !== undefined) shown.model.meta = fresh;
  }

  /** One that is not among the newest is asked for by its key, and then stays in the switcher. */
  async #find(key: string | null): Promise<Session | undefined> {
    if (key === null) return undefined;
    const known = this.sessions.find((item) => item.session === key);
    if (known !== undefined) return known;
    try {
      const found = await this.api.session(key, this.#abort.signal);
      this.#older = [found, ...this.#older].slice(0, OLDER_SESSIONS);
      this.sessions = [...this.sessions, found];
      return found;
    } catch (cause) {
      if (!(cause instanceof ApiError && cause.status === 404)) throw cause;
      if (this.sessions.length > 0) this.say('The session of this address is no longer stored; this is the newest one');
      return undefined;
    }
  }

  #open(session: Session): void {
    this.workspace?.model.close();
    const model = new SessionModel({ api: this.api, session, onInfo: (info) => { this.info = info; } });
    const workspace = new Workspace(model);
    if (this.#wanted.session === null || this.#wanted.session === session.session) workspace.restore(this.#wanted);
    this.workspace = workspace;
    model.open();
  }

  readonly #onPopState = (): void => {
    const state = parseUrl(location.search);
    if (state.session === null || state.session === this.workspace?.model.meta.session) {
      this.workspace?.restore(state);
      return;
    }
    this.#find(state.session).then((session) => {
      if (session === undefined) return;
      this.#wanted = state;
      this.#open(session);
    }, () => this.say('Could not open the session of this address'));
  };
}

/** The token comes in the printed address once; it is kept for the tab and taken out of the address bar. */
function takeToken(): string | null {
  const url = new URL(location.href);
  const given = url.searchParams.get('token');
  try {
    if (given === null) return sessionStorage.getItem(TOKEN_KEY);
    sessionStorage.setItem(TOKEN_KEY, given);
  } catch {
    // Storage may be blocked: the token then lasts until the next reload.
  }
  url.searchParams.delete('token');
  history.replaceState(null, '', `${url.pathname}${url.search}${url.hash}`);
  return given;
}
