// HTTP/1.1 over TLS by Node's own server and client, in one process: CONNECTIONS kept connections with REQUESTS
// each. Every request carries its number, and every reply says it again. On every fourth connection several
// requests are written at once, before the first reply (pipelining), by hand, since Node's client does not.
//
//   node http1-load.mjs FOLDER CONNECTIONS REQUESTS [THREADS [FIRST]]     cert.pem and key.pem are in FOLDER
//
// With several THREADS, each has a server and its share of the connections. Numbers begin at FIRST.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const AT_ONCE = 10;
const PIPELINED = 5;
const [folder = '.', connections = '1', requests = '1', threads = '1', first = '0'] = process.argv.slice(2);
const perConnection = Number(requests);
const ca = readFileSync(join(folder, 'cert.pem'));

await (Number(threads) > 1 ? inThreads(Number(threads)) : load());

async function inThreads(count) {
  const share = Math.ceil(Number(connections) / count);
  await Promise.all(Array.from({ length: count }, async (_, number) => {
    const own = Math.min(share, Number(connections) - number * share);
    const argv = [folder, String(own), requests, '1', String(number * share * perConnection)];
    const [code] = await once(new Worker(fileURLToPath(import.meta.url), { argv }), 'exit');
    if (code !== 0) process.exitCode = code;
  }));
}

async function load() {
  const server = createServer({ cert: ca, key: readFileSync(join(folder, 'key.pem')) }, answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  for (let from = 0; from < Number(connections); from += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, Number(connections) - from) }, (_, i) => from + i);
    await Promise.all(some.map((connection) => {
      const id = Number(first) + connection * perConnection;
      return connection % 4 === 3 ? pipeline(port, id) : keepAlive(port, id);
    }));
  }
  server.close();
}

/** Every third reply is in chunks. */
function answer(incoming, response) {
  const id = incoming.url.slice('/r/'.length);
  const parts = [];
  incoming.on('data', (part) => parts.push(part));
  incoming.on('end', () => {
    const body = `id=${id};${Buffer.concat(parts)};end`;
    response.setHeader('x-id', id);
    if (Number(id) % 3 !== 0) return response.setHeader('content-length', body.length).end(body);
    response.write(body.slice(0, 3));
    response.end(body.slice(3));
  });
}

async function keepAlive(port, from) {
  const agent = new Agent({ ca, keepAlive: true, maxSockets: 1 });
  for (let id = from; id < from + perConnection; id++) await ask(agent, port, id);
  agent.destroy();
}

function ask(agent, port, id) {
  return new Promise((resolve, reject) => {
    const asking = request({ agent, host: 'localhost', port, method: 'POST', path: `/r/${id}` }, (response) => response.on('end', resolve).resume());
    asking.on('error', reject);
    // Every fifth question is in chunks.
    if (id % 5 !== 0) asking.setHeader('content-length', `ask=${id}`.length);
    asking.write('ask=');
    asking.end(String(id));
  });
}

async function pipeline(port, from) {
  const socket = connect({ port, host: 'localhost', ca });
  await once(socket, 'secureConnect');
  const replies = socket.iterator({ destroyOnReturn: false });
  for (let id = from; id < from + perConnection; id += PIPELINED) {
    const last = Math.min(id + PIPELINED, from + perConnection) - 1;
    socket.write(Array.from({ length: last - id + 1 }, (_, i) => requestText(id + i)).join(''));
    for (let text = ''; !text.includes(`ask=${last};end`);) text += String((await replies.next()).value);
  }
  socket.end();
  await once(socket.resume(), 'close');
}

function requestText(id) {
  const body = `ask=${id}`;
  return `POST /r/${id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}
