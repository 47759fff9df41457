/** HTTP/2 over bare sockets, whichever side is traced and whoever speaks first: whole, in both directions. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Event, HttpData } from '../../src/event.ts';
import { unescape } from '../cases.ts';
import { framesOf } from '../frames.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, endChild, startCapture } from '../helpers/live-capture.ts';
import { exchanges, netData } from '../helpers/net.ts';
import { expectRow } from '../helpers/matrix.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

const PROGRAM = programPath('h2c.mjs');
/** No two parts of it are alike, and it takes many frames. */
const BODY = Array.from({ length: 20_000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join('');
const UPGRADED = framesOf('settings\nsettings ack\nheaders 1\n  :status: 200\n  content-type: text/plain\ndata 1 end | upgraded\n', unescape);

let folder: TempDir;
beforeEach(() => {
  folder = tempDir();
  writeFileSync(folder.file('body'), BODY);
});
afterEach(() => folder.remove());

interface Server {
  readonly pid: number;
  readonly port: number;
}

async function startServer(...args: readonly string[]): Promise<Server> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => endChild(child));
  const [line] = await once(child.stdout, 'data') as [Buffer];
  return { pid: child.pid ?? 0, port: Number(String(line)) };
}

async function ofClient(program: string, args: readonly string[]): Promise<readonly Event[]> {
  return (await captureCommand(command(program, args), { families: ['process', 'net'] })).events;
}

/** What a server shows that is traced while the client runs. */
async function ofServer({ pid }: Server, program: string, args: readonly string[]): Promise<readonly Event[]> {
  const running = startCapture({ pids: [pid], families: ['process', 'net'] });
  await running.ready;
  await promisify(execFile)(program, args);
  await waitFor('the connection to end', () => netData(running.events, 'CLOSE').length === 1);
  await running.runner.stop();
  return running.events;
}

const curl = (...args: readonly string[]): readonly [string, readonly string[]] => ['curl', ['-sS', '-o', '/dev/null', ...args]];
const told = (events: readonly Event[]): readonly HttpData[] => exchanges(events).map(({ data }) => data);

describeKernel('HTTP/2 in plain text', () => {
  const posted = { state: 'complete', method: 'POST', path: '/post', http_version: '2', tls: false, status: 200, request_body: BODY, response_body: `path=/post;${BODY}` };

  test('by prior knowledge, of a client: curl', async () => {
    const { port } = await startServer('serve');
    const events = await ofClient(...curl('--http2-prior-knowledge', '--data-binary', `@${folder.file('body')}`, `http://127.0.0.1:${port}/post`));
    expect(told(events)).toMatchObject([{ ...posted, role: 'client', url: `http://127.0.0.1:${port}/post`, endpoint: { remote: { port } } }]);
    expectRow('plain HTTP/2: curl', events);
  });

  test('by prior knowledge, of a server, which speaks first: Node', async () => {
    const server = await startServer('serve');
    const events = await ofServer(server, ...curl('--http2-prior-knowledge', '--data-binary', `@${folder.file('body')}`, `http://127.0.0.1:${server.port}/post`));
    expect(told(events)).toMatchObject([{ ...posted, role: 'server', endpoint: { local: { port: server.port } } }]);
    expect(netData(events, 'CLOSE')).toMatchObject([{ speaks: 'http' }]);
    expectRow('plain HTTP/2: a server of Node', events);
  });

  // Of the head of the frame that tells it, the first call reads so many bytes.
  test.each([1, 3, 8, 9])('of a client that first reads, %d bytes', async (first) => {
    const { port } = await startServer('serve');
    const ask = framesOf('preface\nsettings\nheaders 1 end\n  :method: GET\n  :scheme: http\n  :authority: localhost\n  :path: /late\n', unescape);
    const events = await ofClient('/usr/bin/python3', ['-S', '-c', `
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.settimeout(10)
s.recv(int(sys.argv[3]), socket.MSG_WAITALL)
s.sendall(bytes.fromhex(sys.argv[2]))
seen = b''
while b'path=/late;' not in seen:
    more = s.recv(4096)
    if not more: sys.exit('the server has ended')
    seen += more
`, String(port), ask.toString('hex'), String(first)]);
    expect(told(events)).toMatchObject([{ state: 'complete', role: 'client', method: 'GET', path: '/late', status: 200, response_body: 'path=/late;' }]);
  });

  const upgraded = { state: 'complete', method: 'GET', path: '/up', http_version: '1.1', tls: false, status: 200, response_body: 'upgraded', stream: 1 };

  test('after an upgrade from HTTP/1.1, of a client: curl', async () => {
    const { port } = await startServer('upgrade', UPGRADED.toString('hex'));
    expect(told(await ofClient(...curl('--http2', `http://127.0.0.1:${port}/up`)))).toMatchObject([{ ...upgraded, role: 'client' }]);
  });

  test('after an upgrade from HTTP/1.1, of a server', async () => {
    const server = await startServer('upgrade', UPGRADED.toString('hex'));
    expect(told(await ofServer(server, ...curl('--http2', `http://127.0.0.1:${server.port}/up`)))).toMatchObject([{ ...upgraded, role: 'server' }]);
  });

  test('gRPC, on both sides', async () => {
    const server = await startServer('serve');
    const call = [process.execPath, [PROGRAM, 'call', `http://127.0.0.1:${server.port}`]] as const;
    for (const [role, events] of [['client', await ofClient(...call)], ['server', await ofServer(server, ...call)]] as const) {
      expect(told(events)).toMatchObject([{
        state: 'complete', role, response_trailers: [['grpc-status', '0'], ['grpc-message', 'fine']],
        grpc: {
          service: 'echo.Echo', method: 'Ping', status: 0, message: 'fine',
          request_messages: [{ fields: [{ number: 1, value: 'ping' }] }], response_messages: [{ fields: [{ number: 1, value: 'pong' }] }],
        },
      }]);
    }
  });

  // A length of 7 is none of SETTINGS; and the last is the start of what Kafka calls a request.
  test.each(['000007040000000000', '000006040100000000', '000006040000000100', '000006040012000b00'])('not by other bytes of a length: %s', async (first) => {
    const { port } = await startServer('serve');
    const events = await ofClient('/usr/bin/python3', ['-S', '-c', `
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(bytes.fromhex(sys.argv[2]) + bytes(100))
`, String(port), first]);
    expect(netData(events, 'DATA')).toEqual([]);
    expect(netData(events, 'CLOSE')).toMatchObject([{ speaks: null }]);
  });
});
