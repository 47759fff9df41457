/** Connections that end by a reset, told from those that are closed, of real programs on both sides. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { release } from 'node:os';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Event } from '../../src/event.ts';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { listening, type Listening } from '../helpers/listening.ts';
import { captureCommand, command, tlsEvents, type CaptureTestOptions } from '../helpers/live-capture.ts';
import { exchanges, netData } from '../helpers/net.ts';
import { describeKernel } from '../helpers/privilege.ts';

/** `sized` tells its length, so that half of it is seen to be half; `open` ends with the connection. */
const HEADS = {
  sized: 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
  open: 'HTTP/1.1 200 OK\r\n\r\nhalf',
};

/** Sends a head and half a body to `GET /<head>/<end>`, and resets or closes once the client says that it has seen them. */
function answer(socket: Socket, reset: () => void): void {
  let asked = '';
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    const isAnswered = asked.includes('\r\n\r\n');
    asked += bytes.toString('latin1');
    const [, head, end] = /^GET \/(\w+)\/(\w+) /.exec(asked) ?? [];
    if (!isAnswered && asked.includes('\r\n\r\n')) socket.write(HEADS[head as keyof typeof HEADS]);
    // What the client has not read when a reset comes, it never reads.
    if (!asked.endsWith('seen')) return;
    if (end === 'reset') reset();
    else socket.end();
  });
}

/** Reads the half, says so, and reads on until the end, whichever it is. */
const PYTHON = `
import socket, ssl, struct, sys
port, path, certificate, linger = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
plain = socket.create_connection(('127.0.0.1', port))
one = ssl.create_default_context(cafile=certificate).wrap_socket(plain, server_hostname='localhost') if certificate else plain
one.sendall(b'GET %s HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' % path.encode())
got = b''
while not got.endswith(b'half'): got += one.recv(1000)
one.sendall(b'seen')
try:
    while one.recv(1000): pass
except ConnectionResetError:
    pass
except ssl.SSLEOFError:
    pass
if linger: one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
one.close()
`;

let folder: TempDir;
let plain: Listening;
let secure: Listening;
beforeAll(async () => {
  folder = tempDir();
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.path]);
  plain = await listening(createServer((socket) => answer(socket, () => socket.resetAndDestroy())));
  const raw = new Map<number | undefined, Socket>();
  const tls = createTlsServer(
    { cert: readFileSync(folder.file('cert.pem')), key: readFileSync(folder.file('key.pem')) },
    (socket: TLSSocket) => answer(socket, () => raw.get(socket.remotePort)?.resetAndDestroy()),
  );
  tls.on('connection', (socket: Socket) => {
    const { remotePort } = socket;
    raw.set(remotePort, socket);
    socket.on('error', () => undefined).on('close', () => raw.delete(remotePort));
  });
  secure = await listening(tls);
});
afterAll(async () => {
  await plain.close();
  await secure.close();
  folder.remove();
});

interface Told {
  readonly exchange: readonly (string | null)[][];
  readonly close: unknown[];
}

/** The exchange, and what the end of its connection says. */
function told(events: readonly Event[], port: number): Told {
  return {
    exchange: exchanges(events).map(({ data }) => [data.path, data.state, data.reason, data.response_body]),
    close: netData(events, 'CLOSE').filter(({ endpoint }) => endpoint.remote.port === port).map(({ reset }) => reset),
  };
}

async function ask(server: Listening, path: string, { linger = '', ...options }: CaptureTestOptions & { readonly linger?: string } = {}): Promise<Event[]> {
  const certificate = server === secure ? folder.file('cert.pem') : '';
  const { events } = await captureCommand(
    command('/usr/bin/python3', ['-S', '-c', PYTHON, String(server.port), path, certificate, linger]), { families: ['process', 'net', 'tls'], ...options },
  );
  return events;
}

/** Before Linux 6.6 the socket goes only after the close(2) that we tell of: it is told as closed. */
const [major = 0, minor = 0] = release().split('.').map((part) => Number.parseInt(part, 10));
const SEES_OWN_RESETS = major > 6 || (major === 6 && minor >= 6);
const BY_PEER = { by: 'peer', unfinished: ['read', 'write'] };

describeKernel('a connection without TLS', () => {
  test('that its peer resets in the middle of a response is told as reset', async () => {
    expect(told(await ask(plain, '/sized/reset'), plain.port)).toEqual({
      exchange: [['/sized/reset', 'aborted', 'connection reset by its peer', 'half']], close: [BY_PEER],
    });
  });

  test('that its peer closes there is told as closed', async () => {
    expect(told(await ask(plain, '/sized/close'), plain.port)).toEqual({
      exchange: [['/sized/close', 'aborted', 'connection closed', 'half']], close: [undefined],
    });
  });

  test('that its peer resets leaves a body that only the end would end unfinished', async () => {
    expect(told(await ask(plain, '/open/reset'), plain.port).exchange).toEqual([['/open/reset', 'aborted', 'connection reset by its peer', 'half']]);
    expect(told(await ask(plain, '/open/close'), plain.port).exchange).toEqual([['/open/close', 'complete', null, 'half']]);
  });

  test('that the program itself resets after the end is no less complete', async () => {
    expect(told(await ask(plain, '/open/close', { linger: 'linger' }), plain.port)).toEqual({
      exchange: [['/open/close', 'complete', null, 'half']], close: [SEES_OWN_RESETS ? { by: 'program', unfinished: ['write'] } : undefined],
    });
  });

  test('that a server resets is told by the server, too', async () => {
    const { events } = await captureCommand(command(process.execPath, ['-e', `
      const { createServer, connect } = require('node:net');
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nhalf', () => socket.resetAndDestroy()));
      }).listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        const client = connect(port, '127.0.0.1', () => client.write('GET /of-server HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'));
        client.resume().on('error', () => undefined).on('close', () => server.close());
      });
    `]), { families: ['process', 'net'] });
    const seen = exchanges(events).map(({ data }) => [data.role, data.state, data.reason]);
    expect(seen).toContainEqual(['server', 'aborted', SEES_OWN_RESETS ? 'connection reset by the program' : 'connection closed']);
    expect(seen).toContainEqual(['client', 'aborted', 'connection reset by its peer']);
  });
});

describeKernel('a connection of TLS', () => {
  test('that its peer resets in the middle of a response is told as reset', async () => {
    const events = await ask(secure, '/sized/reset');
    expect(told(events, secure.port)).toEqual({
      exchange: [['/sized/reset', 'aborted', 'connection reset by its peer', 'half']], close: [BY_PEER],
    });
    expect(tlsEvents(events).flatMap(({ data }) => (data.event === 'CLOSE' ? [data.reset] : []))).toEqual([BY_PEER]);
  });

  test('that its peer closes there is told as closed', async () => {
    expect(told(await ask(secure, '/sized/close'), secure.port)).toEqual({
      exchange: [['/sized/close', 'aborted', 'connection closed', 'half']], close: [undefined],
    });
  });

  test('is told as reset by the source of TLS alone', async () => {
    expect(told(await ask(secure, '/sized/reset', { families: ['process', 'tls'] }), secure.port)).toEqual({
      exchange: [['/sized/reset', 'aborted', 'connection reset by its peer', 'half']], close: [],
    });
  });

  test('of Node, which moves the bytes between TLS and its socket itself, is told as reset', async () => {
    const { events } = await captureCommand(command(process.execPath, ['-e', `
      const [port, ca] = process.argv.slice(1);
      const socket = require('node:tls').connect({ port, host: '127.0.0.1', servername: 'localhost', ca: require('node:fs').readFileSync(ca) });
      socket.write('GET /sized/reset HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n');
      socket.on('data', () => socket.write('seen')).on('error', () => undefined);
    `, String(secure.port), folder.file('cert.pem')]), { families: ['process', 'net', 'tls'] });
    expect(told(events, secure.port)).toEqual({
      exchange: [['/sized/reset', 'aborted', 'connection reset by its peer', 'half']], close: [BY_PEER],
    });
  });
});
