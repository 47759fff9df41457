/** Network events of a capture, its exchanges, and plain HTTP servers that know what passed them. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import { from } from 'rxjs';
import { http } from '../../analyzers/http.ts';
import type { Event, HttpEvent, NetChunk, NetData, NetEvent, NetSocket } from '../../src/event.ts';

export function netEvents(events: readonly Event[]): NetEvent[] {
  return events.filter((event) => event.source === 'net');
}

/** The data of one kind of event. */
type DataOf<E extends NetData['event']> = Extract<NetData, { event: E }> | (E extends NetSocket['event'] ? NetSocket : never);

export function netData<E extends NetData['event']>(events: readonly Event[], kind: E): DataOf<E>[] {
  return netEvents(events).map(({ data }) => data).filter((data): data is DataOf<E> & NetData => data.event === kind);
}

/** CONNECT, ACCEPT and so on of one protocol, as `connect` or `connect ECONNREFUSED`, in order. */
export function story(events: readonly Event[], wanted: (socket: NetSocket) => boolean = () => true): string[] {
  return netEvents(events).flatMap(({ data }) => {
    if (!('protocol' in data) || !wanted(data)) return [];
    return [data.error === null ? data.event.toLowerCase() : `${data.event.toLowerCase()} ${data.error}`];
  });
}

/** What the analyzer makes of the events. */
export function exchanges(events: readonly Event[]): HttpEvent[] {
  const found: HttpEvent[] = [];
  let id = 0;
  from(events).pipe(http({ nextId: () => `test.${id++}` })).subscribe((event) => {
    if (event.source === 'http') found.push(event);
  });
  return found;
}

/** The bytes of one direction by connection; throws where one is missing or comes twice. */
export function bytesOf(events: readonly Event[], direction: NetChunk['direction']): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const chunk of netData(events, 'DATA')) {
    if (chunk.direction !== direction) continue;
    const before = found.get(chunk.connection) ?? Buffer.alloc(0);
    if (chunk.position !== before.length) throw new Error(`${chunk.connection} ${direction}: position ${chunk.position}, expected ${before.length}`);
    found.set(chunk.connection, Buffer.concat([before, chunk.payload]));
  }
  return found;
}

export interface PlainServer {
  readonly port: number;
  /** Of each connection that has ended: what it read and wrote. */
  readonly connections: readonly { readonly received: number; readonly sent: number; readonly port: number | undefined }[];
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Answers every request with what it was sent, or with `hello`. */
export async function startPlainServer(listen: ListenOptions = { host: '127.0.0.1', port: 0 }): Promise<PlainServer> {
  const connections: PlainServer['connections'][number][] = [];
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.on('end', () => {
      requests.push(`${request.method} ${request.url}`);
      response.end(body.length === 0 ? 'hello' : Buffer.concat(body));
    });
  });
  server.on('connection', (socket: Socket) => {
    const port = socket.remotePort;
    socket.on('close', () => connections.push({ received: socket.bytesRead, sent: socket.bytesWritten, port }));
  });
  server.listen(listen);
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connections, requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
