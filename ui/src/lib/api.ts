/** The hub's REST API. Every call is cancellable; every failure is an `ApiError`. */
import type { ApiEvent, EventsPage, Info, Page, Problem, Process, Session } from '../../../src/hub/api.ts';

/** The largest page that the hub gives. */
export const PAGE_ITEMS = 5000;
/** Sessions in the switcher; an older one is fetched by its key. */
const NEWEST_SESSIONS = 200;

/** `status` 0: the hub could not be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

export interface EventQuery {
  readonly session?: string;
  readonly process?: string;
  readonly source?: string;
  /** An expression, as of `--where`. */
  readonly where?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: number;
  readonly cursor?: string;
  readonly order?: 'asc' | 'desc';
}

export interface Api {
  readonly liveUrl: (session: string) => string;
  readonly info: (signal: AbortSignal) => Promise<Info>;
  readonly sessions: (signal: AbortSignal) => Promise<Page<Session>>;
  readonly session: (session: string, signal: AbortSignal) => Promise<Session>;
  readonly processes: (session: string, cursor: string | null, signal: AbortSignal) => Promise<Page<Process>>;
  readonly events: (query: EventQuery, signal: AbortSignal) => Promise<EventsPage>;
  readonly event: (id: string, signal: AbortSignal) => Promise<ApiEvent>;
}

export interface ApiOptions {
  /** Where the page is, without search and hash. */
  readonly base: string;
  readonly token: string | null;
  readonly fetch?: typeof fetch;
}

export function createApi(options: ApiOptions): Api {
  const root = new URL('api/v1/', options.base);
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);
  const get = async <T>(path: string, query: Record<string, string | number | null | undefined>, signal: AbortSignal): Promise<T> => {
    const url = new URL(path, root);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = options.token === null ? {} : { authorization: `Bearer ${options.token}` };
    let response: Response;
    try {
      response = await send(url, { headers, signal });
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new ApiError(0, 'UNREACHABLE', 'could not reach the hub');
    }
    if (!response.ok) throw await toError(response);
    return (await response.json()) as T;
  };
  return {
    liveUrl: (session) => {
      const url = new URL('live', root);
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
      if (options.token !== null) url.searchParams.set('token', options.token);
      url.searchParams.set('session', session);
      return url.href;
    },
    info: (signal) => get('info', {}, signal),
    sessions: (signal) => get('sessions', { limit: NEWEST_SESSIONS }, signal),
    session: (session, signal) => get(`sessions/${encodeURIComponent(session)}`, {}, signal),
    processes: (session, cursor, signal) => get('processes', { session, cursor, limit: PAGE_ITEMS }, signal),
    events: (query, signal) => get('events', { ...query }, signal),
    event: (id, signal) => get(`events/${encodeURIComponent(id)}`, {}, signal),
  };
}

async function toError(response: Response): Promise<ApiError> {
  try {
    const problem = (await response.json()) as Partial<Problem>;
    return new ApiError(response.status, problem.code ?? '', problem.detail ?? problem.title ?? response.statusText);
  } catch {
    return new ApiError(response.status, '', `the hub answered ${response.status}`);
  }
}
