/** Bytes between a client and Node's own HTTP/1 server, as the traced client would write and read them, recorded without a socket. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { pair, type TrafficOptions, type TrafficRecord } from './recorded-pair.ts';

/** Requests that a pipelining client writes before it reads. */
const PIPELINED = 5;

/** Every request carries its number in path and body, and every reply says it in a header and in its body. A quarter of the clients pipeline. */
export async function recordHttp1({ connections, requestsPerConnection }: TrafficOptions): Promise<TrafficRecord[]> {
  const records: TrafficRecord[] = [];
  const server = createServer(answer);
  await Promise.all(Array.from({ length: connections }, async (_, connection) => {
    const ids = Array.from({ length: requestsPerConnection }, (_unused, i) => connection * requestsPerConnection + i);
    const [near, far] = pair((direction, bytes, position) => records.push({ connection: `c${connection}`, direction, bytes, position }));
    server.emit('connection', far);
    await converse(near, ids, connection % 4 === 3 ? PIPELINED : 1);
    near.destroy();
    far.destroy();
  }));
  return records;
}

/** Mostly small, now and then more than a record. */
function sizeOf(id: number): number {
  return id % 97 === 0 ? 40_000 : id % 200;
}

/** Every seventh is in chunks. */
function isChunked(id: number): boolean {
  return id % 7 === 0;
}

function answer(incoming: IncomingMessage, response: ServerResponse): void {
  const id = Number(incoming.url?.slice('/r/'.length));
  incoming.resume().on('end', () => {
    const body = `id=${id};${'y'.repeat(sizeOf(id))};end`;
    response.setHeader('x-id', id);
    if (!isChunked(id)) response.setHeader('content-length', body.length);
    else response.write(body.slice(0, 2));
    response.end(isChunked(id) ? body.slice(2) : body);
  });
}

async function converse(near: Duplex, ids: readonly number[], atOnce: number): Promise<void> {
  const replies = near.iterator({ destroyOnReturn: false });
  for (let from = 0; from < ids.length; from += atOnce) {
    const some = ids.slice(from, from + atOnce);
    for (const id of some) near.write(requestText(id));
    const last = some.at(-1) ?? 0;
    const end = `${'y'.repeat(sizeOf(last))};end${isChunked(last) ? '\r\n0\r\n\r\n' : ''}`;
    for (let text = ''; !text.includes(`x-id: ${last}\r\n`) || !text.endsWith(end);) text += String((await replies.next()).value);
  }
}

function requestText(id: number): string {
  const body = `ask=${id};${'x'.repeat(sizeOf(id + 1))}`;
  const head = `POST /r/${id} HTTP/1.1\r\nHost: a.example\r\nUser-Agent: traffic\r\n`;
  if (!isChunked(id + 3)) return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  return `${head}Transfer-Encoding: chunked\r\n\r\n4\r\n${body.slice(0, 4)}\r\n${(body.length - 4).toString(16)}\r\n${body.slice(4)}\r\n0\r\n\r\n`;
}
