/**
 * The HTTPS server that programs under test talk to, and its log of what it
 * saw: a test compares the log with what the trace says.
 *
 *   POST /echo       the body again           GET /hello      a line of text
 *   GET  /large      200 KB, Content-Length   POST /large     takes a body, answers its size
 *   GET  /chunked    five chunks              GET /events     five server-sent events
 *   HEAD /hello      headers alone            GET /empty      204
 *   GET  /slow       one event, then silence until the client leaves
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface SeenExchange {
  readonly method: string;
  readonly url: string;
  readonly requestBody: Buffer;
  readonly status: number;
}

export interface TlsServer {
  readonly port: number;
  /** https://localhost:PORT */
  readonly url: string;
  /** PEM file that clients trust; key.pem lies beside it. */
  readonly certPath: string;
  readonly seen: readonly SeenExchange[];
  close(): Promise<void>;
}

export const LARGE_BYTES = 200_000;
const CHUNK_DELAY_MS = 15;
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** The body of /large: numbered lines, so that a missing or repeated part shows. */
export function largeBody(sizeBytes: number = LARGE_BYTES): string {
  let text = '';
  for (let line = 0; text.length < sizeBytes; line++) {
    text += `${String(line).padStart(8, '0')} ${createHash('md5').update(String(line)).digest('hex')}\n`;
  }
  return text.slice(0, sizeBytes);
}

export async function startTlsServer(certificateProgram: string): Promise<TlsServer> {
  const directory = mkdtempSync(join(tmpdir(), 'agentsight-tls-'));
  execFileSync(process.execPath, [certificateProgram, directory]);
  const certPath = join(directory, 'cert.pem');
  const seen: SeenExchange[] = [];
  const options = { cert: readFileSync(certPath), key: readFileSync(join(directory, 'key.pem')) };
  const server = createServer(options, (request, response) => {
    answer(request, response, seen).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    url: `https://localhost:${address.port}`,
    certPath,
    seen,
    async close() {
      if (server.listening) {
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, seen: SeenExchange[]): Promise<void> {
  const requestBody = await readBody(request);
  const { method = '', url = '' } = request;
  const reply = routes[`${method} ${url}`] ?? notFound;
  await reply(response, requestBody);
  seen.push({ method, url, requestBody, status: response.statusCode });
}

type Reply = (response: ServerResponse, requestBody: Buffer) => void | Promise<void>;

const routes: Readonly<Record<string, Reply>> = {
  'GET /hello': (response) => sendText(response, 'hello\n'),
  'HEAD /hello': (response) => sendText(response, 'hello\n'),
  'GET /large': (response) => sendText(response, largeBody()),
  'POST /large': (response, body) => sendText(response, `${body.length}\n`),
  'POST /echo': (response, body) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length }).end(body);
  },
  'GET /empty': (response) => {
    response.writeHead(204).end();
  },
  'GET /chunked': async (response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    for (let chunk = 0; chunk < 5; chunk++) {
      response.write(`chunk ${chunk}\n`);
      await delay(CHUNK_DELAY_MS);
    }
    response.end();
  },
  'GET /events': async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let event = 0; event < 5; event++) {
      response.write(`id: ${event}\nevent: tick\ndata: {"tick":${event}}\n\n`);
      await delay(CHUNK_DELAY_MS);
    }
    response.end();
  },
  'GET /slow': async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: only\n\n');
    await once(response, 'close');
  },
};

function notFound(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain', 'content-length': 10 }).end('not found\n');
}

function sendText(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text), 'x-served-by': 'tls-server' });
  response.end(text);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error('request body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
