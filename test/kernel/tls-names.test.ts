/** Whom a TLS connection asked for and what it offered, at each of its events, and how its handshake ended. */
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, readEvents, runCli } from '../helpers/cli.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { listening, type Listening } from '../helpers/listening.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';

type Data = Readonly<Record<string, unknown>>;

/** OpenSSL over memory: its socket is known only by inference, some calls later. */
const ASYNCIO = `
import asyncio, ssl, sys
async def ask(name):
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(['http/1.1'])
    reader, writer = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]), ssl=context, server_hostname=name)
    writer.write(f'GET /{name} HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n'.encode())
    while await reader.read(65536): pass
    writer.close()
async def main(): await asyncio.gather(*(ask(name) for name in sys.argv[2:]))
asyncio.run(main())
`;

const BOTH_ENDS = `
const tls = require('tls'), fs = require('fs');
const [cert, key] = process.argv.slice(1).map((path) => fs.readFileSync(path));
const server = tls.createServer({ cert, key, ALPNProtocols: ['one', 'two'] }, (socket) => socket.on('data', (data) => socket.end(data)));
server.listen(0, '127.0.0.1', () => {
  const socket = tls.connect({ port: server.address().port, servername: 'both.example.test', ALPNProtocols: ['two'], rejectUnauthorized: false }, () => socket.write('hello'));
  socket.on('data', () => {}).on('close', () => server.close());
});
`;

describeKernel('the events of a TLS connection say whom it asked for', () => {
  let dir: TempDir;
  let server: RawTlsServer;
  beforeEach(async () => {
    dir = tempDir();
    server = await startRawTlsServer(Buffer.from('body\n'));
  });
  afterEach(async () => {
    await server.close();
    dir.remove();
  });

  async function trace(command: readonly string[], exitCode = 0): Promise<readonly Data[]> {
    const file = dir.file('trace.jsonl');
    const result = await runCli(['trace', '--no-hub', '-q', '--raw', '-o', file, '--', ...command], { cwd: dir.path });
    expect(result.code, result.stderr).toBe(exitCode);
    return ofSource(readEvents(file), 'tls').map(({ data }) => data);
  }

  const about = (events: readonly Data[], event: string): readonly Data[] => events.filter((data) => data['event'] === event);
  const remote = (): Data => ({ remote: { address: '127.0.0.1', port: server.port } });
  const curl = (...args: readonly string[]): Promise<readonly Data[]> => trace(['curl', '-sSk', '--http1.1', '-o', 'out', ...args]);

  it('curl: the name of the URL, whatever address it leads to', async () => {
    const events = await curl('--resolve', `api.example.test:${server.port}:127.0.0.1`, `https://api.example.test:${server.port}/`);
    expect(about(events, 'HANDSHAKE')).toMatchObject([{ ok: true, server_name: 'api.example.test', alpn: ['http/1.1'], endpoint: remote() }]);
    expect(new Set(about(events, 'DATA').map((data) => data['server_name']))).toEqual(new Set(['api.example.test']));
  });

  it('curl: null where an address was asked for, which is no name', async () => {
    const events = await curl('--no-alpn', `https://127.0.0.1:${server.port}/`);
    expect(about(events, 'HANDSHAKE')).toMatchObject([{ ok: true, server_name: null, alpn: [], endpoint: remote() }]);
    expect(new Set(about(events, 'DATA').map((data) => data['server_name']))).toEqual(new Set([null]));
  });

  it('Python with asyncio: of two connections at once, each has its own', async () => {
    const names = ['one.example.test', 'two.example.test'];
    const events = await trace(['/usr/bin/python3', '-c', ASYNCIO, String(server.port), ...names]);
    const requests = about(events, 'DATA').filter((data) => data['direction'] === 'write');
    expect(requests.map((data) => data['server_name']).toSorted()).toEqual(names);
    for (const data of requests) expect(data['payload']).toContain(`Host: ${String(data['server_name'])}\r\n`);
    const replies = about(events, 'DATA').filter((data) => data['direction'] === 'read');
    for (const reply of replies) {
      const request = requests.find((data) => data['connection'] === reply['connection']);
      expect(reply['server_name']).toBe(request?.['server_name']);
    }
  });

  it('Node: of both ends of one connection', async () => {
    const events = await trace([process.execPath, '-e', BOTH_ENDS, server.certPath, server.keyPath]);
    expect(about(events, 'HANDSHAKE')).toMatchObject([1, 2].map(() => ({ ok: true, server_name: 'both.example.test', alpn: ['two'] })));
    expect(about(events, 'DATA').map((data) => [data['total'], data['server_name']])).toEqual(Array.from({ length: 4 }, () => [5, 'both.example.test']));
  });

  it('curl: of a handshake that fails, because nobody vouches for the certificate', async () => {
    const events = await trace(['curl', '-sS', '--resolve', `api.example.test:${server.port}:127.0.0.1`, `https://api.example.test:${server.port}/`], 60);
    expect(about(events, 'HANDSHAKE')).toMatchObject([{ ok: false, server_name: 'api.example.test', endpoint: remote(), latency_ms: expect.any(Number) }]);
    expect(about(events, 'DATA')).toEqual([]);
  });

  const NODE = "require('https').get(process.argv[1]).on('error', () => { process.exitCode = 1; })";
  const PYTHON = 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])';
  it.each([
    ['curl, by OpenSSL', ['curl', '-sS'], 35],
    ['Python, by OpenSSL', ['/usr/bin/python3', '-c', PYTHON], 1],
    ['Node, over memory', [process.execPath, '-e', NODE], 1],
    ['wget, by GnuTLS', ['wget', '-q', '--tries=1', '-O', 'out'], 4],
  ] as const)('%s: of a handshake that fails, because the server answers with something else', async (_name, command, exitCode) => {
    const garbage = await startGarbageServer();
    try {
      const events = await trace([...command, `https://localhost:${garbage.port}/`], exitCode);
      const endpoint = { remote: { address: '127.0.0.1', port: garbage.port } };
      expect(about(events, 'HANDSHAKE')).toMatchObject([{ ok: false, server_name: 'localhost', endpoint, latency_ms: expect.any(Number) }]);
      for (const { latency_ms: latencyMs } of about(events, 'HANDSHAKE')) expect(latencyMs).toBeGreaterThan(0);
      expect(about(events, 'DATA')).toEqual([]);
    } finally {
      await garbage.close();
    }
  });
});

/** Says something else than TLS, whatever it is asked. */
function startGarbageServer(): Promise<Listening> {
  return listening(createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end('220 this is another protocol\r\n'));
  }));
}
