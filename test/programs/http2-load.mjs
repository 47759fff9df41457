// HTTP/2 over TLS by Node's own client and server, in one process: CONNECTIONS connections with
// REQUESTS each, some at once. Every request carries its number, and every reply says it again.
//
//   node http2-load.mjs FOLDER CONNECTIONS REQUESTS [THREADS [FIRST]]     cert.pem and key.pem are in FOLDER
//   node http2-load.mjs FOLDER serve      serves until its standard input ends, tells its port on standard output
//
// With several THREADS, each has a server and its share of the connections. Numbers begin at FIRST.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const AT_ONCE = 5;
const [folder = '.', connections = '1', requests = '1', threads = '1', first = '0'] = process.argv.slice(2);
const cert = readFileSync(join(folder, 'cert.pem'));
const server = http2.createSecureServer({ cert, key: readFileSync(join(folder, 'key.pem')) });
server.on('stream', answer);
if (Number(threads) > 1) await inThreads(Number(threads));
else server.listen(0, '127.0.0.1', () => (connections === 'serve' ? serve() : load()));

async function inThreads(count) {
  const share = Math.ceil(Number(connections) / count);
  await Promise.all(Array.from({ length: count }, async (_, number) => {
    const own = Math.min(share, Number(connections) - number * share);
    const argv = [folder, String(own), requests, '1', String(number * share * Number(requests))];
    const [code] = await once(new Worker(fileURLToPath(import.meta.url), { argv }), 'exit');
    if (code !== 0) process.exitCode = code;
  }));
}

function answer(stream, headers) {
  const id = String(headers[':path']).slice('/r/'.length);
  const parts = [];
  stream.on('error', ({ code }) => process.stderr.write(`http2-load: stream of ${id}: ${code}\n`)); // a client's reset ends its stream, not the server
  stream.on('data', (part) => parts.push(part));
  stream.on('end', () => {
    if (id === 'events') {
      stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
      for (let i = 0; i < 5; i++) stream.write(`data: {"n":${i}}\n\n`);
      stream.end();
      return;
    }
    const body = `id=${id};${Buffer.concat(parts).toString()}`;
    stream.respond({ ':status': 200, 'x-id': id, 'content-length': body.length }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': id }));
    stream.end(body);
  });
}

function serve() {
  process.stdout.write(`${server.address().port}\n`);
  process.stdin.on('end', () => process.exit(0)).resume();
}

async function load() {
  const url = `https://localhost:${server.address().port}`;
  const perConnection = Number(requests);
  for (let from = 0; from < Number(connections); from += 10) {
    const some = Array.from({ length: Math.min(10, Number(connections) - from) }, (_, i) => from + i);
    await Promise.all(some.map((connection) => runClient(url, Number(first) + connection * perConnection, perConnection)));
  }
  server.close();
}

async function runClient(url, from, count) {
  const client = http2.connect(url, { ca: cert });
  let next = from;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < from + count) await ask(client, next++);
  }));
  await new Promise((resolve) => client.close(resolve));
}

function ask(client, id) {
  return new Promise((resolve, reject) => {
    const stream = client.request({ ':method': 'POST', ':path': `/r/${id}`, 'user-agent': 'http2-load' });
    stream.on('error', reject).on('data', () => {}).on('end', resolve);
    stream.end(`ask=${id}`);
  });
}
