/** Sockets, and HTTP over bare ones, of real programs: what they did, once, and with the right number of bytes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { Agent, get, type IncomingMessage, type RequestOptions } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NetSocket } from '../../src/event.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, endChild, startCapture, type CaptureTestOptions, type RunningCapture } from '../helpers/live-capture.ts';
import { expectRow } from '../helpers/matrix.ts';
import { bytesOf, exchanges, netData, netEvents, startPlainServer, story, type PlainServer } from '../helpers/net.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

/** No two parts of it are alike. */
const BODY = Buffer.from(Array.from({ length: 20_000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join(''));

let folder: TempDir;
let server: PlainServer;
beforeEach(async () => {
  folder = tempDir();
  server = await startPlainServer();
  writeFileSync(folder.file('body'), BODY);
});
afterEach(async () => {
  await server.close();
  folder.remove();
});

function run(program: string, args: readonly string[], options: CaptureTestOptions = {}): Promise<RunningCapture> {
  return captureCommand(command(program, args), { families: ['process', 'net'], ...options });
}

function python(lines: string, ...args: readonly string[]): Promise<RunningCapture> {
  return run('/usr/bin/python3', ['-S', '-c', lines, ...args]);
}

const isTcp = ({ protocol }: NetSocket): boolean => protocol === 'tcp';
const isUnix = ({ protocol, endpoint }: NetSocket): boolean => protocol === 'unix' && !endpoint.remote.address.includes('nscd');

/** Each connection of the server, with the bytes that the client's CLOSE tells of. */
async function expectSameBytes({ events }: RunningCapture, of: PlainServer, count: number): Promise<void> {
  await waitFor('the server to see the ends', () => of.connections.length === count);
  const told = netData(events, 'CLOSE').flatMap((socket) => {
    return isTcp(socket) ? [{ received: socket.written_bytes, sent: socket.read_bytes, port: socket.endpoint.local.port }] : [];
  });
  const byPort = (a: { port?: number | null | undefined }, b: { port?: number | null | undefined }): number => (a.port ?? 0) - (b.port ?? 0);
  expect(told.toSorted(byPort)).toEqual([...of.connections].toSorted(byPort));
}

describeKernel('plain HTTP of a client', () => {
  test('curl posts 200 KB over IPv4: one exchange, its endpoint, every byte', async () => {
    const capture = await run('curl', ['-s', '-H', 'Expect:', '--data-binary', `@${folder.file('body')}`, `http://127.0.0.1:${server.port}/echo`]);
    const [exchange, ...others] = exchanges(capture.events);
    expect(others).toEqual([]);
    expect(exchange?.data).toMatchObject({
      state: 'complete', role: 'client', tls: false, method: 'POST', url: `http://127.0.0.1:${server.port}/echo`, status: 200,
      request_body: BODY.toString(), response_body: BODY.toString(),
      endpoint: { family: 'ipv4', remote: { address: '127.0.0.1', port: server.port } },
    });
    expect(story(capture.events, isTcp)).toEqual(['connect', 'close']);
    await expectSameBytes(capture, server, 1);
    expectRow('plain HTTP: curl', capture.events);
  });

  test('curl over IPv6', async () => {
    const six = await startPlainServer({ host: '::1', port: 0 });
    try {
      const capture = await run('curl', ['-s', `http://[::1]:${six.port}/six`]);
      expect(exchanges(capture.events).map(({ data }) => [data.url, data.endpoint?.family, data.endpoint?.remote, data.response_body])).toEqual([
        [`http://[::1]:${six.port}/six`, 'ipv6', { address: '::1', port: six.port }, 'hello'],
      ]);
      await expectSameBytes(capture, six, 1);
    } finally {
      await six.close();
    }
  });

  test('curl over a unix socket', async () => {
    const path = folder.file('api.sock');
    const local = await startPlainServer({ path });
    try {
      const { events } = await run('curl', ['-s', '--unix-socket', path, 'http://docker/containers/json']);
      expect(exchanges(events).map(({ data }) => [data.url, data.endpoint?.family, data.endpoint?.remote])).toEqual([
        ['http://docker/containers/json', 'unix', { address: path, port: null }],
      ]);
      expect(story(events, isUnix)).toEqual(['connect', 'close']);
      await waitFor('the server to see the end', () => local.connections.length === 1);
      expect(netData(events, 'CLOSE').filter(isUnix)).toMatchObject([
        { read_bytes: local.connections[0]?.sent, written_bytes: local.connections[0]?.received, endpoint: { remote: { address: path } } },
      ]);
    } finally {
      await local.close();
    }
  });

  test('an abstract unix socket, of server and client', async () => {
    const { events } = await python(`
import socket, sys
name = '\\0' + sys.argv[1]
server = socket.socket(socket.AF_UNIX)
server.bind(name)
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(name)
accepted, _ = server.accept()
client.sendall(b'GET /model HTTP/1.1\\r\\nHost: local\\r\\n\\r\\n')
accepted.recv(4096)
accepted.sendall(b'HTTP/1.1 204 No Content\\r\\n\\r\\n')
client.recv(4096)
for one in (client, accepted, server): one.close()
`, folder.path);
    expect(story(events, isUnix)).toEqual(['bind', 'listen', 'connect', 'accept', 'close', 'close', 'close']);
    const shown = { address: `@${folder.path}`, port: null };
    expect(exchanges(events).map(({ data }) => [data.role, data.status, data.role === 'client' ? data.endpoint?.remote : data.endpoint?.local]).toSorted()).toEqual([
      ['client', 204, shown], ['server', 204, shown],
    ]);
  });

  test('a refused connection, blocking and not, is told with its error and no end', async () => {
    const { port } = server;
    await server.close();
    const { events } = await python(`
import socket, sys, select, errno
port = int(sys.argv[1])
with socket.socket() as one:
    assert one.connect_ex(('127.0.0.1', port)) == errno.ECONNREFUSED
with socket.socket() as two:
    two.setblocking(False)
    assert two.connect_ex(('127.0.0.1', port)) in (errno.EINPROGRESS, errno.ECONNREFUSED)
    select.select([], [two], [])
with socket.socket(socket.AF_UNIX) as three:
    assert three.connect_ex('/nonexistent/socket') == errno.ENOENT
`, String(port));
    server = await startPlainServer();
    expect(story(events)).toEqual(['connect ECONNREFUSED', 'connect ECONNREFUSED', 'connect ENOENT']);
    expect(netEvents(events).map(({ data }) => 'protocol' in data && data.endpoint.remote)).toEqual([
      { address: '127.0.0.1', port }, { address: '127.0.0.1', port }, { address: '/nonexistent/socket', port: null },
    ]);
  });

  test('1000 short connections: each begins once, ends once, and has its bytes', async () => {
    const capture = await python(`
import socket, sys
for index in range(1000):
    with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as connection:
        connection.sendall(b'GET /%d HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' % index)
        while connection.recv(65536): pass
`, String(server.port));
    expect(story(capture.events, isTcp)).toEqual(Array.from({ length: 1000 }, () => ['connect', 'close']).flat());
    await expectSameBytes(capture, server, 1000);
    expect(exchanges(capture.events).map(({ data }) => `${data.state} ${data.path}`)).toEqual(
      Array.from({ length: 1000 }, (_, index) => `complete /${index}`),
    );
  }, 60_000);

  test('80 requests of Node at once to 4 servers: each at the right port', async () => {
    const servers = [server, ...await Promise.all([1, 2, 3].map(() => startPlainServer()))];
    try {
      const urls = Array.from({ length: 80 }, (_, index) => `http://127.0.0.1:${servers[index % 4]?.port}/${servers[index % 4]?.port}-${index}`);
      const { events } = await run(process.execPath, ['-e', `
        for (const url of process.argv.slice(1)) require('node:http').get(url, { agent: false }, (response) => response.resume());
      `, ...urls]);
      const seen = exchanges(events).map(({ data }) => data);
      expect(seen.map(({ url }) => url).toSorted()).toEqual(urls.toSorted());
      for (const { endpoint, path, state } of seen) expect([state, endpoint?.remote.port]).toEqual(['complete', Number(path.slice(1).split('-')[0])]);
    } finally {
      await Promise.all(servers.slice(1).map((one) => one.close()));
    }
  });
});

const REQUEST = String.raw`GET /parts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

describeKernel('bytes of a plain socket', () => {
  test.each([
    ['one at a time', `[connection.send(byte.to_bytes(1, 'big')) for byte in request]`],
    ['in buffers of sendmsg, the first ones empty and short', `connection.sendmsg([b'', request[:1], request[1:3], request[3:]])`],
    ['by writev', `os.writev(connection.fileno(), [request[:2], request[2:]])`],
    ['by write', `os.write(connection.fileno(), request)`],
    ['through a duplicate', `os.write(os.dup(connection.fileno()), request)`],
  ])('are the same when they were written %s', async (_, write) => {
    const { events } = await python(`
import os, socket, sys
request = b'${REQUEST}'
connection = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
${write}
answer = b''
while True:
    part = connection.recv(1)
    connection.recv(100, socket.MSG_PEEK)
    if not part: break
    answer += part
os.write(1, answer)
`, String(server.port));
    expect([...bytesOf(events, 'write').values()].map(String)).toEqual(['GET /parts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n']);
    expect(exchanges(events).map(({ data }) => [data.state, data.path, data.response_body])).toEqual([['complete', '/parts', 'hello']]);
    expect(story(events, isTcp)).toEqual(['connect', 'close']);
  });

  test('are none of our business when they are no HTTP', async () => {
    const { events } = await python(`
import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
accepted.sendall(b'220 mail ready\\r\\n')
client.sendall(b'EHLO client\\r\\n')
client.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')
client.shutdown(socket.SHUT_WR)
while accepted.recv(100): pass
client.close(); accepted.close(); server.close()
`);
    expect(netData(events, 'DATA')).toEqual([]);
    expect(story(events, isTcp)).toEqual(['bind', 'listen', 'connect', 'accept', 'close', 'close', 'close']);
  });

  test('are HTTP at a port that was named, whatever they are', async () => {
    const { events } = await run('/usr/bin/python3', ['-S', '-c', `
import socket, sys
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as connection: connection.sendall(b'FROB the server')
`, String(server.port)], { plainPorts: [server.port] });
    expect([...bytesOf(events, 'write').values()].map(String)).toEqual(['FROB the server']);
  });
});

describeKernel('a socket ends once', () => {
  const HEAD = `
import os, socket, sys
address = ('127.0.0.1', int(sys.argv[1]))
`;
  async function ends(lines: string): Promise<{ ends: [number, number | null][]; order: string[] }> {
    const { events } = await python(HEAD + lines, String(server.port));
    const closes = netEvents(events).flatMap(({ data, pid }): [number, number | null][] => (data.event === 'CLOSE' ? [[pid, data.written_bytes]] : []));
    const order = events.flatMap((event) => {
      return (event.source === 'process' || event.source === 'net') && ['CLOSE', 'EXIT'].includes(event.data.event) ? [event.data.event] : [];
    });
    return { ends: closes, order };
  }

  test('when the last of parent and child has closed it', async () => {
    const found = await ends(`
connection = socket.create_connection(address)
child = os.fork()
if child == 0:
    connection.send(b'12345')
    connection.close()
    os._exit(0)
os.waitpid(child, 0)
connection.send(b'678')
connection.close()
`);
    expect(found.ends.map(([, bytes]) => bytes)).toEqual([8]);
    expect(found.order).toEqual(['EXIT', 'CLOSE', 'EXIT']);
  });

  test('when its process ends without closing it, before that is told', async () => {
    const found = await ends(`connection = socket.create_connection(address)\nconnection.send(b'12345')\nos._exit(0)`);
    expect(found.ends.map(([, bytes]) => bytes)).toEqual([5]);
    expect(found.order).toEqual(['CLOSE', 'EXIT']);
  });

  test('when a program is executed that does not inherit it, or another file takes its descriptor', async () => {
    const executed = await ends(`connection = socket.create_connection(address)\nconnection.send(b'12345')\nos.execv('/bin/true', ['true'])`);
    expect(executed.ends.map(([, bytes]) => bytes)).toEqual([5]);
    const replaced = await ends(`connection = socket.create_connection(address)\nconnection.send(b'1234')\nos.dup2(1, connection.fileno())\nos._exit(0)`);
    expect(replaced.ends.map(([, bytes]) => bytes)).toEqual([4]);
  });

  test('when a duplicate is closed last that nothing was done with', async () => {
    const found = await ends(`
connection = socket.create_connection(address)
duplicate = os.dup(connection.fileno())
connection.send(b'123456')
connection.close()
os.close(duplicate)
`);
    expect(found.ends.map(([, bytes]) => bytes)).toEqual([6]);
  });
});

describeKernel('a traced server', () => {
  test('that ran before, with a connection that was open before: its exchanges, the connection marked', async () => {
    const child = spawn('/usr/bin/python3', ['-S', '-c', `
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'ok')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
`], { stdio: ['ignore', 'pipe', 'inherit'] });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const [line] = await once(child.stdout, 'data') as [Buffer];
      const port = Number(String(line));
      expect(await fetchText(port, '/before', agent)).toBe('ok');
      const running = startCapture({ pids: [child.pid ?? 0], families: ['process', 'net'] });
      await running.ready;
      expect(await fetchText(port, '/traced', agent)).toBe('ok');
      agent.destroy();
      // The server's threads end their connections in any order.
      await waitFor('the first connection to end', () => netData(running.events, 'CLOSE').length === 1);
      expect(await fetchText(port, '/new', agent)).toBe('ok');
      agent.destroy();
      await waitFor('both connections to end', () => netData(running.events, 'CLOSE').length === 2);
      await running.runner.stop();
      expect(exchanges(running.events).map(({ data }) => [data.state, data.role, data.path, data.endpoint?.local.port])).toEqual([
        ['complete', 'server', '/traced', port], ['complete', 'server', '/new', port],
      ]);
      expect(netData(running.events, 'CLOSE').map(({ existing }) => existing)).toEqual([true, false]);
      expect(story(running.events)).toEqual(['close', 'accept', 'close']);
    } finally {
      agent.destroy();
      await endChild(child);
    }
  });

  test('nginx: what it reads from a file and sends within the kernel is told as left out', async () => {
    const socket = folder.file('web.sock');
    writeFileSync(folder.file('nginx.conf'), `
daemon off; pid ${folder.file('pid')}; error_log stderr; user root; worker_processes 2;
events {}
http { access_log off; sendfile on; server { listen unix:${socket}; location / { root ${folder.path}; } location /text { return 200 "plain text"; } } }
`);
    const running = startCapture({ launch: command('nginx', ['-c', folder.file('nginx.conf'), '-e', 'stderr']), families: ['process', 'net'] });
    await running.ready;
    await waitFor('nginx to listen', () => existsSync(socket) && existsSync(folder.file('pid')));
    expect(await requestText({ socketPath: socket, path: '/text' })).toBe('plain text');
    expect(await requestText({ socketPath: socket, path: '/body' })).toBe(BODY.toString());
    running.runner.signal('SIGTERM');
    await running.done;
    expect(exchanges(running.events).map(({ data }) => [
      data.state, data.role, data.path, data.status, data.response_body_bytes, data.response_body_truncated, data.endpoint?.local.address,
    ])).toEqual([
      ['complete', 'server', '/text', 200, 10, false, socket], ['complete', 'server', '/body', 200, BODY.length, true, socket],
    ]);
  });
});

function fetchText(port: number, path: string, agent: Agent): Promise<string> {
  return requestText({ host: '127.0.0.1', port, path, agent });
}

async function requestText(options: RequestOptions): Promise<string> {
  const [response] = await once(get(options), 'response') as [IncomingMessage];
  return (await response.toArray()).join('');
}
