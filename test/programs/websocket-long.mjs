// One long message to a server of `ws` and back, in fragments: no call carries more than a trace keeps of one.
//
//   node websocket-long.mjs serve FOLDER tls|plain whole|deflate          prints its port, and goes when standard input ends; cert.pem and key.pem are in FOLDER
//   node websocket-long.mjs talk FOLDER tls|plain whole|deflate PORT FILE   the message is what FILE has
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';

const FRAGMENT_BYTES = 512 * 1024;
const [mode = 'serve', folder = '.', transport = 'tls', coding = 'whole', port = '', file = ''] = process.argv.slice(2);
const ca = readFileSync(join(folder, 'cert.pem'));
const perMessageDeflate = coding === 'deflate' ? { threshold: 0 } : false;
await (mode === 'serve' ? serve() : talk());

async function serve() {
  const server = transport === 'tls' ? https.createServer({ cert: ca, key: readFileSync(join(folder, 'key.pem')) }) : http.createServer();
  new WebSocketServer({ server, perMessageDeflate }).on('connection', (end) => {
    end.on('message', (bytes) => say(end, bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.stdout.write(`${server.address().port}\n`);
  process.stdin.resume();
  process.stdin.on('end', () => process.exit());
}

async function talk() {
  const client = new WebSocket(`${transport === 'tls' ? 'wss' : 'ws'}://localhost:${port}/long`, { ca, perMessageDeflate });
  await once(client, 'open');
  const answered = once(client, 'message');
  const bytes = readFileSync(file);
  await say(client, bytes);
  const [answer] = await answered;
  client.close(1000);
  await once(client, 'close');
  process.exitCode = bytes.equals(answer) ? 0 : 1;
}

async function say(end, message) {
  for (let at = 0; at < message.length; at += FRAGMENT_BYTES) {
    const fin = at + FRAGMENT_BYTES >= message.length;
    await new Promise((resolve, reject) => {
      end.send(message.subarray(at, at + FRAGMENT_BYTES), { binary: false, fin }, (error) => (error == null ? resolve() : reject(error)));
    });
  }
}
