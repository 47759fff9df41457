/**
 * Shapes of the REST API and the live stream under /api/v1: types only, shared
 * with the page. Times are epoch nanoseconds as decimal strings, because a
 * JSON number in a browser stops being exact at 2^53. Ids are event ids and
 * process keys of src/event.ts.
 *
 * Every request but `/health` and the page's own files needs the token of the
 * printed URL, as `Authorization: Bearer`; the live socket takes it as
 * `?token=`. Errors are RFC 9457 problem documents.
 */

/** GET /health: says who we are, needs no token, tells nothing captured. */
export interface Health {
  readonly name: 'agentsight-ts';
  readonly version: string;
  readonly protocol: number;
  /** Random id of this run of the hub. */
  readonly hub: string;
  readonly uid: number;
  readonly store: 'ready' | 'starting' | 'down';
}

/** GET /api/v1/info */
export interface Info {
  readonly version: string;
  readonly host: string;
  readonly now: string;
  readonly store: StoreInfo;
  readonly collectors: readonly CollectorInfo[];
  readonly live: { readonly pages: number; readonly dropped: number };
}

export interface StoreInfo {
  readonly kind: 'embedded' | 'server';
  readonly state: Health['store'];
  readonly events: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly limitDays: number;
  readonly counters: Readonly<Record<string, number>>;
}

export interface CollectorInfo {
  readonly collector: string;
  readonly host: string;
  readonly connected: boolean;
  readonly command: readonly string[];
  readonly redaction: boolean;
  readonly stages: readonly { readonly stage: string; readonly counters: Readonly<Record<string, number>> }[];
}

/** One traced root process and its descendants. GET /api/v1/sessions -> Page<Session>, newest first; /api/v1/sessions/{session} -> Session. */
export interface Session {
  readonly session: string;
  readonly host: string;
  readonly pid: number;
  /** Of the root process when it was first seen to run a program, as are `command` and `cwd`. */
  readonly comm: string;
  readonly command: readonly string[];
  readonly cwd: string | null;
  readonly start: string;
  /** null while it runs. */
  readonly end: string | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly last: string;
  readonly events: number;
  readonly processes: number;
  readonly exchanges: number;
  readonly lost: number;
}

/**
 * An event as the API gives it. In lists and in the live stream, strings of
 * `data` longer than 2 KiB are cut and `cut` is true;
 * GET /api/v1/events/{id} gives it whole.
 */
export interface ApiEvent {
  readonly timestamp: string;
  readonly source: string;
  readonly pid: number;
  readonly comm: string;
  readonly id: string;
  readonly process: string | null;
  readonly session: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  readonly cut?: boolean;
}

/**
 * GET /api/v1/events?session&process&source&from&to&where&limit&cursor&order -> EventsPage.
 * `source` is a comma list; from (inclusive) and to (exclusive) are epoch ns;
 * order is `asc` (default) or `desc`. `where` is a filter as of `--where`, over whole
 * events: `source = http AND status >= 400`. With it a page may be short, or empty, and yet
 * have a `next`: one request looks at 20,000 events that its other parameters let through.
 */
export interface Page<T> {
  readonly items: readonly T[];
  /** Give it back as `cursor` for the next page; null at the end. */
  readonly next: string | null;
}

export interface EventsPage extends Page<ApiEvent> {
  /** When it was asked, the live stream had shown events that the store did not have: of these some may be missing here. */
  readonly storing: boolean;
}

/**
 * GET /api/v1/probes?process&from&to&limit&cursor&order -> Page<ApiEvent> of source `probe`: each file that was looked at for TLS,
 * with the step that found its functions and those that did not (`steps`), which functions, by which method, or why none; places
 * that are `suspect`; and each process that speaks TLS which is not seen (`unseen`, with its process key).
 */

/** GET /api/v1/processes?session -> Page<Process>, by start. */
export interface Process {
  readonly process: string;
  readonly session: string | null;
  readonly pid: number;
  readonly ppid: number;
  readonly parent: string | null;
  readonly comm: string;
  readonly filename: string | null;
  readonly argv: readonly string[];
  readonly cwd: string | null;
  readonly uid: number | null;
  readonly start: string;
  readonly end: string | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly peak_rss_bytes: number | null;
}

/** GET /api/v1/exchanges?session&process&from&to&limit&cursor&order -> Page<Exchange>; /api/v1/exchanges/{event id} -> ApiEvent, whole. */
export interface Exchange {
  readonly id: string;
  readonly exchange: string;
  readonly timestamp: string;
  readonly process: string | null;
  readonly session: string | null;
  readonly pid: number;
  readonly comm: string;
  readonly state: string;
  readonly method: string;
  readonly url: string;
  readonly host: string | null;
  readonly status: number | null;
  readonly latency_ms: number | null;
  readonly ttfb_ms: number | null;
  readonly request_body_bytes: number;
  readonly response_body_bytes: number;
  readonly sse_events: number | null;
}

/** RFC 9457. `code` is of the error registry or `NOT_FOUND`, `BAD_REQUEST`, `UNAUTHORIZED`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  /** Of a `where` that could not be read: the place in it, from 1. */
  readonly column?: number;
}

/**
 * WS /api/v1/live?token&session, subprotocol `agentsight.live.v1`. The hub
 * sends frames, at most 20 a second; the page may send nothing. `dropped` is how
 * many events this page was not sent since the last frame, so that the page can
 * show where it is blind and fetch them over REST.
 */
export type LiveFrame =
  | { readonly kind: 'hello'; readonly hub: string; readonly now: string }
  | { readonly kind: 'events'; readonly events: readonly ApiEvent[]; readonly dropped: number }
  | { readonly kind: 'status'; readonly info: Info }
  | { readonly kind: 'heartbeat'; readonly now: string };
