/**
 * A hub for tests of the page: real HTTP and WebSocket on a random port with
 * the shapes of src/hub/api.ts, answering from events in memory. It has a
 * token, cuts long strings in lists and pages like the real one.
 */
import { readFile } from 'node:fs/promises';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';
import { compileWhere } from '../../analyzers/where/matches.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import type { Event } from '../../src/event.ts';
import type { ApiEvent, EventsPage, Info, LiveFrame, Page, Process, Session } from '../../src/hub/api.ts';
import type { FixtureSession } from './fixture-session.ts';

const CUT_CHARS = 2048;
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

export interface FixtureHub {
  /** Page address with its token. */
  readonly url: string;
  readonly origin: string;
  readonly addSession: (fixture: FixtureSession) => void;
  /** Stores events and sends them to the pages, or only stores them and says how many were dropped. */
  readonly push: (events: readonly ApiEvent[], options?: { readonly dropped?: boolean }) => void;
  /** Sends events to the pages before it stores them, which it does when the returned function is called. */
  readonly pushUnstored: (events: readonly ApiEvent[]) => () => void;
  /** Sends events to the pages as a hub does that dies before it stored them. */
  readonly pushLost: (events: readonly ApiEvent[]) => void;
  /** How often it was asked which events fit an expression. */
  readonly searches: () => number;
  /** Says that events were dropped without having any: they were of another session. */
  readonly pushDropped: (count: number) => void;
  readonly setRedaction: (on: boolean) => void;
  /** REST answers to event lists wait until the returned function is called. */
  readonly holdEvents: () => () => void;
  readonly pages: () => number;
  readonly dropPages: () => void;
  readonly close: () => Promise<void>;
}

interface State {
  readonly token: string;
  readonly root: string;
  readonly sessions: Session[];
  readonly processes: Process[];
  readonly events: ApiEvent[];
  readonly pages: Set<WebSocket>;
  redaction: boolean;
  searches: number;
  /** Calls of pushUnstored that are not stored. */
  storing: number;
  hold: Promise<void> | null;
}

export async function startFixtureHub(root: string, port = 0): Promise<FixtureHub> {
  const state: State = { token: 'test-token', root, sessions: [], processes: [], events: [], pages: new Set(), redaction: true, searches: 0, storing: 0, hold: null };
  const server = createServer((request, response) => {
    answer(state, request, response).catch((cause: unknown) => {
      response.writeHead(500).end(String(cause));
    });
  });
  const sockets = acceptPages(state, server);
  await new Promise<void>((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    url: `${origin}/?token=${state.token}`,
    addSession: (fixture) => {
      state.sessions.unshift(fixture.session);
      state.processes.push(...fixture.processes);
      state.events.push(...fixture.events);
    },
    push: (events, options = {}) => {
      state.events.push(...events);
      const dropped = options.dropped === true ? events.length : 0;
      send(state, { kind: 'events', events: dropped > 0 ? [] : events.map(cut), dropped });
    },
    pushUnstored: (events) => {
      state.storing += 1;
      send(state, { kind: 'events', events: events.map(cut), dropped: 0 });
      return () => {
        state.storing -= 1;
        state.events.push(...events);
      };
    },
    pushLost: (events) => send(state, { kind: 'events', events: events.map(cut), dropped: 0 }),
    searches: () => state.searches,
    pushDropped: (count) => send(state, { kind: 'events', events: [], dropped: count }),
    setRedaction: (on) => {
      state.redaction = on;
      send(state, { kind: 'status', info: infoOf(state) });
    },
    holdEvents: () => {
      let release = (): void => undefined;
      state.hold = new Promise((resolve) => { release = () => { state.hold = null; resolve(); }; });
      return release;
    },
    pages: () => state.pages.size,
    dropPages: () => { for (const page of state.pages) page.terminate(); },
    close: async () => {
      for (const page of state.pages) page.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => { server.close(resolve); });
    },
  };
}

function acceptPages(state: State, server: Server): WebSocketServer {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (offered.has('agentsight.live.v1') ? 'agentsight.live.v1' : false) });
  server.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url ?? '/', 'http://x');
    if (url.pathname !== '/api/v1/live' || url.searchParams.get('token') !== state.token) {
      socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (page) => {
      state.pages.add(page);
      page.on('close', () => state.pages.delete(page));
      page.send(JSON.stringify({ kind: 'hello', hub: 'fixture', now: nowNs() } satisfies LiveFrame));
      page.send(JSON.stringify({ kind: 'status', info: infoOf(state) } satisfies LiveFrame));
    });
  });
  return sockets;
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://x');
  if (!url.pathname.startsWith('/api/v1/')) return serveFile(state.root, url.pathname, response);
  if (request.headers.authorization !== `Bearer ${state.token}`) {
    return json(response, 401, { type: 'about:blank', title: 'Unauthorized', status: 401, detail: 'the token is missing or wrong', code: 'UNAUTHORIZED' });
  }
  const path = url.pathname.slice('/api/v1/'.length);
  if (path === 'info') return json(response, 200, infoOf(state));
  if (path === 'sessions') return json(response, 200, { items: state.sessions.slice(0, Number(url.searchParams.get('limit'))), next: null } satisfies Page<Session>);
  const session = path.startsWith('sessions/') ? state.sessions.find((item) => item.session === decodeURIComponent(path.slice(9))) : undefined;
  if (session !== undefined) return json(response, 200, session);
  if (path === 'processes') {
    return json(response, 200, { items: state.processes.filter((process) => process.session === url.searchParams.get('session')), next: null } satisfies Page<Process>);
  }
  if (path === 'events') {
    if (state.hold !== null) await state.hold;
    const where = url.searchParams.get('where');
    if (where !== null) state.searches += 1;
    return json(response, 200, { ...listEvents(fitting(state.events, where), url.searchParams), storing: state.storing > 0 } satisfies EventsPage);
  }
  const event = path.startsWith('events/') ? state.events.find((item) => item.id === decodeURIComponent(path.slice(7))) : undefined;
  if (event !== undefined) return json(response, 200, event);
  return json(response, 404, { type: 'about:blank', title: 'Not found', status: 404, detail: `no ${path}`, code: 'NOT_FOUND' });
}

/** As the real hub, which lets the analyzer's code decide. */
function fitting(events: readonly ApiEvent[], where: string | null): readonly ApiEvent[] {
  if (where === null) return events;
  const fits = compileWhere(parseWhere(where));
  return events.filter((event) => fits({ ...event, timestamp: BigInt(event.timestamp) } as unknown as Event));
}

function listEvents(events: readonly ApiEvent[], query: URLSearchParams): Page<ApiEvent> {
  const [from, to] = [query.get('from'), query.get('to')];
  const sources = query.get('source')?.split(',');
  const matching = events.filter((event) =>
    (query.get('session') === null || event.session === query.get('session')) &&
    (query.get('process') === null || event.process === query.get('process')) &&
    (sources === undefined || sources.includes(event.source)) &&
    (from === null || BigInt(event.timestamp) >= BigInt(from)) &&
    (to === null || BigInt(event.timestamp) < BigInt(to)));
  matching.sort((a, b) => Number(BigInt(a.timestamp) - BigInt(b.timestamp)));
  if (query.get('order') === 'desc') matching.reverse();
  const start = Number(query.get('cursor') ?? 0);
  const limit = Number(query.get('limit') ?? 1000);
  return { items: matching.slice(start, start + limit).map(cut), next: start + limit < matching.length ? String(start + limit) : null };
}

function cut(event: ApiEvent): ApiEvent {
  const long = Object.values(event.data).some((value) => typeof value === 'string' && value.length > CUT_CHARS);
  if (!long) return event;
  const data = Object.fromEntries(Object.entries(event.data).map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, CUT_CHARS) : value]));
  return { ...event, data, cut: true };
}

function infoOf(state: State): Info {
  return {
    version: '0.0.0', host: 'dev1', now: nowNs(),
    store: { kind: 'embedded', state: 'ready', events: state.events.length, bytes: 4_200_000, limitBytes: 5e9, limitDays: 14, counters: {} },
    collectors: [{ collector: 'dev1.boot.1', host: 'dev1', connected: true, command: ['claude'], redaction: state.redaction, stages: [
      { stage: 'kernel', counters: { records: 48_210, ring_full: 312 } }, { stage: 'http', counters: { exchanges: 16, bytes: 812_340 } },
    ] }],
    live: { pages: state.pages.size, dropped: 0 },
  };
}

async function serveFile(root: string, path: string, response: ServerResponse): Promise<void> {
  const name = normalize(path === '/' ? '/index.html' : path);
  try {
    const content = await readFile(join(root, name));
    response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'content-security-policy': "default-src 'self'; style-src 'self' 'unsafe-inline'" }).end(content);
  } catch {
    response.writeHead(404).end();
  }
}

function send(state: State, frame: LiveFrame): void {
  for (const page of state.pages) page.send(JSON.stringify(frame));
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function nowNs(): string {
  return (BigInt(Date.now()) * 1_000_000n).toString();
}
