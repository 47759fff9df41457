/** Bytes that Node's own HTTP/2 client and server exchange, as a traced client would write and read them, recorded without a socket. */
import http2 from 'node:http2';
import { pair, type TrafficOptions, type TrafficRecord } from './recorded-pair.ts';

/** Requests that one connection has under way at once. */
const AT_ONCE = 5;

/** Every request carries its number in path and body, and every reply says it in a header and in its body. */
export async function recordHttp2({ connections, requestsPerConnection }: TrafficOptions): Promise<TrafficRecord[]> {
  const records: TrafficRecord[] = [];
  const server = http2.createServer();
  server.on('stream', (stream, headers) => {
    const id = String(headers[':path']).slice('/r/'.length);
    stream.on('data', () => {});
    stream.on('end', () => {
      const body = `id=${id};${'y'.repeat(sizeOf(Number(id)))}`;
      stream.respond({ ':status': Number(id) % 3 === 0 ? 404 : 200, 'x-id': id, 'x-kind': `k${Number(id) % 7}`, ...lengthOf(body, Number(id)) });
      stream.end(body);
    });
  });
  await Promise.all(Array.from({ length: connections }, (_, connection) => {
    const ids = Array.from({ length: requestsPerConnection }, (_unused, i) => connection * requestsPerConnection + i);
    return runClient(server, `c${connection}`, ids, records);
  }));
  return records;
}

/** Mostly small, now and then more than a frame. */
function sizeOf(id: number): number {
  return id % 97 === 0 ? 40_000 : id % 200;
}

/** Nearly all say how long they are; those that stream do not. */
function lengthOf(body: string, id: number): { 'content-length'?: number } {
  return id % 20 === 0 ? {} : { 'content-length': body.length };
}

async function runClient(server: http2.Http2Server, connection: string, ids: readonly number[], records: TrafficRecord[]): Promise<void> {
  const [near, far] = pair((direction, bytes, position) => records.push({ connection, direction, bytes, position }));
  server.emit('connection', far);
  const client = http2.connect('http://a.example', { createConnection: () => near });
  try {
    const left = [...ids];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let id = left.shift(); id !== undefined; id = left.shift()) await ask(client, id);
    }));
  } finally {
    client.destroy();
    far.destroy();
  }
}

function ask(client: http2.ClientHttp2Session, id: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const body = `ask=${id};${'x'.repeat(sizeOf(id + 1))}`;
    const stream = client.request({ ':method': 'POST', ':path': `/r/${id}`, 'user-agent': 'traffic', ...lengthOf(body, id) });
    stream.on('error', reject);
    stream.on('data', () => {});
    stream.on('end', resolve);
    stream.end(body);
  });
}
