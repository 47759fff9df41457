// A server of `ws` and a client, which is `ws` in the same process, a page in Chromium, or Python, which talk: numbered messages of many sizes, in fragments, binary ones, pings,
// then a close. What each end sent goes to FOLDER/said.json.
//
//   node websocket-talk.mjs FOLDER tls|plain|nginx deflate|whole SECRET ws|chromium|python     cert.pem and key.pem are in FOLDER; nginx: it has TLS, and passes
//                                                                                       on to the server, which has none; a browser sends no pings
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';
import { startNginx } from './nginx.mjs';

const MESSAGES = 60;
const [folder = '.', transport = 'tls', coding = 'whole', secret = 'none', talker = 'ws'] = process.argv.slice(2);
const ca = readFileSync(join(folder, 'cert.pem'));
const perMessageDeflate = coding === 'deflate' ? { threshold: 0 } : false;
const said = { client: [], server: [] };

const server = transport === 'tls' ? https.createServer({ cert: ca, key: readFileSync(join(folder, 'key.pem')) }) : http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate });
const served = new Promise((resolve) => {
  sockets.on('connection', (end) => {
    serve(end);
    end.on('close', resolve);
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

const { port } = server.address();
const nginx = transport === 'nginx' ? await startNginx(folder, { options: 'ssl', locations: `location / {
      proxy_pass http://127.0.0.1:${port}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }` }) : null;
const url = `${transport === 'plain' ? 'ws' : 'wss'}://localhost:${nginx?.port ?? port}/talk`;
const messages = Array.from({ length: MESSAGES }, (_, number) => [number % 4 === 1 ? 'binary' : 'text', textOf(number)]);
await (talker === 'chromium' ? browse() : talker === 'python' ? runPython() : talk());
await served;
await nginx?.stop();
server.close();
writeFileSync(join(folder, 'said.json'), JSON.stringify(said));

async function talk() {
  const client = new WebSocket(url, { ca, perMessageDeflate });
  await once(client, 'open');
  for (const [number, message] of messages.entries()) {
    const answered = once(client, 'message');
    if (number % 7 === 3) {
      const pinged = once(client, 'pong');
      await say(client, said.client, ['ping', `ping ${number}`]);
      await pinged;
    }
    await say(client, said.client, message);
    await answered;
  }
  said.client.push(['close', '1000 enough']);
  client.close(1000, 'enough');
  await once(client, 'close');
}

async function browse() {
  const { openChromium } = await import('./chromium.mjs');
  const { page, close } = await openChromium(folder);
  said.client.push(...await page.evaluate(talkFromPage, { url, messages }));
  await close();
}

async function runPython() {
  writeFileSync(join(folder, 'messages.json'), JSON.stringify(messages));
  const [code] = await once(spawn('/usr/bin/python3', ['-S', join(import.meta.dirname, 'websocket-client.py'), folder, String(nginx?.port ?? port)], { stdio: 'inherit' }), 'exit');
  if (code !== 0) throw new Error(`the client ended with ${code}`);
  said.client.push(...JSON.parse(readFileSync(join(folder, 'spoken.json'), 'utf8')));
}

/** Runs in the page. What it said, as it knows. */
async function talkFromPage({ url: address, messages: texts }) {
  const spoken = [];
  const socket = new globalThis.WebSocket(address);
  socket.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  for (const [opcode, text] of texts) {
    const answered = new Promise((resolve) => { socket.onmessage = resolve; });
    socket.send(opcode === 'binary' ? new TextEncoder().encode(text) : text);
    spoken.push([opcode, text]);
    await answered;
  }
  const closed = new Promise((resolve) => { socket.onclose = resolve; });
  socket.close(1000, 'enough');
  spoken.push(['close', '1000 enough']);
  await closed;
  return spoken;
}

function serve(end) {
  end.on('message', (body, isBinary) => say(end, said.server, [isBinary ? 'binary' : 'text', `heard ${body}`]));
  end.on('ping', (body) => said.server.push(['pong', String(body)]));
  end.on('close', (code, reason) => said.server.push(['close', `${code} ${reason}`]));
}

/** Every fifth is longer than a TLS record, every sixth holds the secret. */
function textOf(number) {
  const key = number % 6 === 2 ? ` {"api_key":"${secret}"}` : '';
  return `message ${number} é${key} ${'word '.repeat(number % 5 === 0 ? 9000 : number)}`;
}

/** Every third message is sent in two fragments. */
function say(end, list, [opcode, text]) {
  list.push([opcode, text]);
  if (opcode === 'ping') return sent((done) => end.ping(text, undefined, done));
  const bytes = Buffer.from(text);
  const binary = opcode === 'binary';
  const half = list.length % 3 === 0 ? bytes.length >> 1 : 0;
  if (half > 0) end.send(bytes.subarray(0, half), { binary, fin: false });
  return sent((done) => end.send(bytes.subarray(half), { binary }, done));
}

function sent(send) {
  return new Promise((resolve, reject) => {
    send((error) => (error == null ? resolve() : reject(error)));
  });
}
