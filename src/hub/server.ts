/** The hub's web server on loopback: health, API, live stream, and the page's own files. */
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import fastifyStatic from '@fastify/static';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { WebSocketServer } from 'ws';
import { AgentsightError, causeText, errnoOf } from '../errors.ts';
import { PACKAGE_ROOT } from '../version.ts';
import type { Health, Info } from './api.ts';
import { bearerOf, isLoopbackHost, isOwnOrigin, isToken, SECURITY_HEADERS } from './guard.ts';
import type { Live } from './live.ts';
import { RequestProblem, sendProblem } from './problem.ts';
import { addRoutes } from './routes.ts';
import type { Store } from './store/store.ts';

export interface ServerOptions {
  /** 0 for any free one. */
  readonly port: number;
  readonly token: string;
  readonly store: Store;
  readonly live: Live;
  readonly health: () => Health;
  readonly info: () => Promise<Info>;
  readonly storing: () => boolean;
  /** Folder of the built page. */
  readonly pageDir?: string | undefined;
  readonly log: (text: string) => void;
}

export interface HubServer {
  readonly port: number;
  close(): Promise<void>;
}

const LIVE_PATH = '/api/v1/live';
const LIVE_PROTOCOL = 'agentsight.live.v1';
/** The page sends nothing. */
const LIVE_MESSAGE_BYTES = 1024;

export async function startServer(options: ServerOptions): Promise<HubServer> {
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: 1024,
    routerOptions: { maxParamLength: 512 },
    // Malformed requests never reach a route; they get the same shape of answer.
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, error),
  });
  guard(app, options.token);
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof RequestProblem)) options.log(`request failed: ${causeText(error)}`);
    return sendProblem(reply, error);
  });
  app.get('/health', async (_request, reply) => reply.header('cache-control', 'no-store').send(options.health()));
  addRoutes(app, options);
  await addPage(app, options.pageDir ?? join(PACKAGE_ROOT, 'dist/ui'));
  const sockets = addLive(app, options);
  const port = await listen(app, options.port);
  return {
    port,
    async close() {
      options.live.close();
      for (const socket of sockets.clients) socket.terminate();
      await app.close();
    },
  };
}

function guard(app: FastifyInstance, token: string): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (!isLoopbackHost(request.headers.host)) {
      throw new RequestProblem(421, 'FORBIDDEN_HOST', 'this hub answers only under 127.0.0.1 and localhost');
    }
    if (wantsToken(request) && !isToken(bearerOf(request.raw), token)) {
      void reply.header('www-authenticate', 'Bearer');
      throw new RequestProblem(401, 'UNAUTHORIZED', 'the token is missing or wrong: open the address that agentsight-ts printed');
    }
  });
}

/**
 * By the route that the router found, never by the text of the request: that
 * may be an absolute address or hold percent signs, and the router reads both.
 */
function wantsToken(request: FastifyRequest): boolean {
  return (request.routeOptions.url ?? '').startsWith('/api/') || isApi(request.url);
}

/** For addresses without a route: under /api they get a problem, elsewhere the page. */
function isApi(url: string): boolean {
  return /^\/+api(?:\/|$)/i.test(url.split('?', 1)[0] ?? '');
}

async function addPage(app: FastifyInstance, pageDir: string): Promise<void> {
  const built = existsSync(join(pageDir, 'index.html'));
  if (built) {
    await app.register(fastifyStatic, {
      root: pageDir,
      cacheControl: false,
      setHeaders(response, path) {
        // Vite names assets by their content; only index.html changes under its name.
        void response.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
  }
  app.setNotFoundHandler((request, reply) => {
    if (isApi(request.url)) return sendProblem(reply, new RequestProblem(404, 'NOT_FOUND', `there is no ${request.method} ${request.url.split('?', 1)[0] ?? ''}`));
    if (!built) return sendProblem(reply, new RequestProblem(404, 'NOT_FOUND', 'the page is not built: run `npm run build:ui`'));
    return wantsPage(request) ? sendIndex(reply) : sendProblem(reply, new RequestProblem(404, 'NOT_FOUND', 'there is no such file'));
  });
}

/** The page keeps its state in the path, keys with dots too: whatever is no file of the build is the page itself. */
function wantsPage(request: FastifyRequest): boolean {
  return request.method === 'GET' && !request.url.startsWith('/assets/');
}

function sendIndex(reply: FastifyReply): FastifyReply {
  return reply.sendFile('index.html');
}

function addLive(app: FastifyInstance, options: ServerOptions): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LIVE_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(LIVE_PROTOCOL) ? LIVE_PROTOCOL : false),
  });
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    // Split by hand: `new URL` throws on what any page may send, such as `//`.
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const parameters = new URLSearchParams(query);
    const refusal = path === LIVE_PATH ? refuseLive(request, parameters, options.token) : '404 Not Found';
    if (refusal !== null) {
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (page) => {
      if (!options.live.attach(page, parameters.get('session'))) page.close(1013, 'too many pages');
    });
  });
  return sockets;
}

function refuseLive(request: IncomingMessage, parameters: URLSearchParams, token: string): string | null {
  if (!isLoopbackHost(request.headers.host)) return '421 Misdirected Request';
  if (!isOwnOrigin(request)) return '403 Forbidden';
  return isToken(parameters.get('token') ?? bearerOf(request), token) ? null : '401 Unauthorized';
}

async function listen(app: FastifyInstance, port: number): Promise<number> {
  try {
    await app.listen({ host: '127.0.0.1', port });
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error;
    throw new AgentsightError('PORT_IN_USE', `could not listen on 127.0.0.1:${port}: another program does`, {
      cause: error,
      hint: 'choose another one with --server-port',
    });
  }
  return (app.server.address() as AddressInfo).port;
}
