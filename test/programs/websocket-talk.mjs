// A server and a client of `ws` in one process, which talk: numbered messages of many sizes, in fragments, binary ones, pings,
// then a close. What each end sent goes to FOLDER/said.json.
//
//   node websocket-talk.mjs FOLDER tls|plain deflate|whole SECRET     cert.pem and key.pem are in FOLDER
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';

const MESSAGES = 60;
const [folder = '.', transport = 'tls', coding = 'whole', secret = 'none'] = process.argv.slice(2);
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

const client = new WebSocket(`${transport === 'tls' ? 'wss' : 'ws'}://localhost:${server.address().port}/talk`, { ca, perMessageDeflate });
await once(client, 'open');
for (let number = 0; number < MESSAGES; number++) {
  const answered = once(client, 'message');
  if (number % 7 === 3) {
    const pinged = once(client, 'pong');
    await say(client, said.client, ['ping', `ping ${number}`]);
    await pinged;
  }
  await say(client, said.client, [number % 4 === 1 ? 'binary' : 'text', textOf(number)]);
  await answered;
}
said.client.push(['close', '1000 enough']);
client.close(1000, 'enough');
await Promise.all([once(client, 'close'), served]);
server.close();
writeFileSync(join(folder, 'said.json'), JSON.stringify(said));

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
