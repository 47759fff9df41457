/**
 * Servers that know themselves by port, and clients that ask them: what a
 * capture says of endpoints can then be checked against what was carried.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { expect } from 'vitest';
import type { Endpoint, Event } from '../../src/event.ts';
import { CERTIFICATE_PROGRAM, tempDir } from './files.ts';
import { tlsEvents } from './live-capture.ts';

export interface PortServers {
  readonly ports: readonly number[];
  /** https://localhost:PORT/PORT/NUMBER, each server as often as the others. */
  urls(count: number): string[];
  /** PEM file that clients trust. */
  readonly certPath: string;
  /** Requests that were answered. */
  readonly answered: readonly string[];
  close(): Promise<void>;
}

/** Each answers `/PORT/NUMBER` with `answer of PORT to NUMBER`, and any other port with 404. */
export async function startPortServers(count: number): Promise<PortServers> {
  const folder = tempDir();
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.path]);
  const options = { cert: readFileSync(folder.file('cert.pem')), key: readFileSync(folder.file('key.pem')) };
  const answered: string[] = [];
  const servers: Server[] = [];
  const ports: number[] = [];
  for (let index = 0; index < count; index++) {
    const server = createServer(options, (request, response) => {
      const [, port, number] = (request.url ?? '').split('/');
      request.resume();
      response.statusCode = Number(port) === portOf(server) ? 200 : 404;
      response.end(`answer of ${portOf(server)} to ${number}\n`);
      answered.push(request.url ?? '');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    ports.push(portOf(server));
  }
  return {
    ports,
    urls: (total) => Array.from({ length: total }, (_, number) => `https://localhost:${ports[number % count]}/${ports[number % count]}/${number}`),
    certPath: folder.file('cert.pem'),
    answered,
    async close() {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
      }
      folder.remove();
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

export interface SeenConnection {
  readonly pid: number;
  read: string;
  written: string;
  /** Of each chunk, in order. */
  readonly endpoints: (Endpoint | null)[];
  readonly told: { readonly endpoint: Endpoint; readonly evidence: string }[];
  readonly handshakes: { readonly ok: boolean; readonly latencyMs: number; readonly serverName: string | null; readonly alpn: readonly string[] }[];
  readonly libraries: Set<string>;
  closed: boolean;
}

/** What the events say of each connection. */
export function seenConnections(events: readonly Event[]): SeenConnection[] {
  const connections = new Map<string, SeenConnection>();
  for (const { data, pid } of tlsEvents(events)) {
    const known: SeenConnection = connections.get(data.connection)
      ?? { pid, read: '', written: '', endpoints: [], told: [], handshakes: [], libraries: new Set(), closed: false };
    connections.set(data.connection, known);
    switch (data.event) {
      case 'DATA': {
        const text = Buffer.from(data.payload).toString('latin1');
        if (data.direction === 'read') known.read += text;
        else known.written += text;
        known.endpoints.push(data.endpoint);
        known.libraries.add(data.library);
        break;
      }
      case 'ENDPOINT': known.told.push(data); break;
      case 'HANDSHAKE': known.handshakes.push({ ok: data.ok, latencyMs: data.latency_ms, serverName: data.server_name, alpn: data.alpn }); break;
      case 'CLOSE': known.closed = true; break;
    }
  }
  return [...connections.values()];
}

/** Every request and reply was seen once, and each of their bytes at the port that they name. */
export function expectRightPorts(events: readonly Event[], { answered }: PortServers): void {
  const connections = seenConnections(events).filter(({ written }) => written !== '');
  const asked: string[] = [];
  const replies: string[] = [];
  for (const { written, read, endpoints, told } of connections) {
    const paths = [...written.matchAll(/^[A-Z]+ (\/\d+\/\d+) HTTP/gm)].map(([, path]) => path ?? '');
    const answers = [...read.matchAll(/answer of (\d+) to (\d+)/g)].map(([, port, number]) => `/${port}/${number}`);
    asked.push(...paths);
    replies.push(...answers);
    for (const path of [...paths, ...answers]) {
      const port = Number(path.split('/')[1]);
      expect(endpoints.map((endpoint) => endpoint?.remote), path).toEqual(endpoints.map(() => ({ address: '127.0.0.1', port })));
      expect(told.map(({ endpoint }) => endpoint.remote.port), path).toEqual([port]);
    }
  }
  expect(asked.toSorted()).toEqual(answered.toSorted());
  expect(replies.toSorted()).toEqual(answered.toSorted());
}
