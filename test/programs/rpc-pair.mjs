// JSON-RPC over stdio: a server, and a client that starts one over a pair of sockets.
//
//   node rpc-pair.mjs ask line|content-length COUNT     asks COUNT things at once, writes each answer as a line into the file that HEARD
//                                                       names, and ends when the fifo that SEEN names was read
//   node rpc-pair.mjs serve line|content-length         answers `echo` with its parameters, the last asked first, when `flush` tells it to; ends with its standard input
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';

const [mode, framing, count] = process.argv.slice(2);

if (mode === 'serve') serve();
else await ask(Number(count));

function frame(message) {
  const text = JSON.stringify({ jsonrpc: '2.0', ...message });
  return framing === 'line' ? `${text}\n` : `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

/** Calls back with each message of a stream. */
function hear(stream, take) {
  let held = Buffer.alloc(0);
  stream.on('data', (bytes) => {
    held = Buffer.concat([held, bytes]);
    for (let text = next(); text !== null; text = next()) take(JSON.parse(text));
  });
  function next() {
    const [head] = framing === 'line' ? [''] : /^Content-Length: \d+\r\n\r\n/.exec(held.toString('latin1')) ?? [null];
    const end = head === null ? -1 : framing === 'line' ? held.indexOf('\n') : head.length + Number(/\d+/.exec(head)[0]);
    if (end < 0 || end > held.length) return null;
    const text = held.toString('utf8', head.length, end);
    held = held.subarray(framing === 'line' ? end + 1 : end);
    return text;
  }
}

function serve() {
  const waiting = [];
  hear(process.stdin, ({ id, method, params }) => {
    if (method === 'echo') waiting.push({ id, result: params });
    else for (const answer of waiting.splice(0).toReversed()) process.stdout.write(frame(answer));
  });
}

async function ask(total) {
  const server = spawn(process.execPath, [process.argv[1], 'serve', framing], { stdio: ['pipe', 'pipe', 'inherit'] });
  for (let id = 0; id < total; id++) server.stdin.write(frame({ id, method: 'echo', params: { text: `é ${id}` } }));
  server.stdin.write(frame({ method: 'flush' }));
  let answered = 0;
  hear(server.stdout, ({ id, result }) => {
    appendFileSync(process.env.HEARD, `${id} ${result.text}\n`);
    if (++answered < total) return;
    readFileSync(process.env.SEEN);
    server.stdin.end();
  });
  const [code] = await once(server, 'exit');
  process.exit(code);
}
