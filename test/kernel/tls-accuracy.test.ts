/**
 * 80 requests at once from one process to 4 servers: each of their bytes at the
 * right port, by the tracepoints of sockets and as on kernels that lack them.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadAddon, type Addon } from '../../src/addon.ts';
import { captureCommand, command } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { expectRightPorts, startPortServers, type PortServers } from '../helpers/tls-clients.ts';

const SERVERS = 4;
const REQUESTS = 80;

const NODE = `
const { get } = require('node:https');
const ca = require('node:fs').readFileSync(process.argv[1]);
for (const url of process.argv.slice(2)) get(url, { ca, agent: false }, (response) => response.resume());
`;
const NODE_FETCH = 'await Promise.all(process.argv.slice(1).map(async (url) => (await fetch(url)).text()));';
const ASYNCIO = `
import asyncio, ssl, sys
from urllib.parse import urlsplit
context = ssl.create_default_context(cafile=sys.argv[1])
async def get(url):
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    writer.write(f'GET {parts.path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'.encode())
    while await reader.read(65536): pass
    writer.close()
async def main(): await asyncio.gather(*(get(url) for url in sys.argv[2:]))
asyncio.run(main())
`;
const THREADS = `
import ssl, sys, threading, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
threads = [threading.Thread(target=lambda url=url: urllib.request.urlopen(url, context=context).read()) for url in sys.argv[2:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
`;

const addon = (): Addon => loadAddon();
const oldAddon = (): Addon => {
  const real = loadAddon();
  return { ...real, openCapture: (options) => real.openCapture({ ...options, ignoreSocketTracepoints: true }) };
};

describe.each([
  ['tracepoints of sockets', addon],
  ['the ends of system calls', oldAddon],
])('by %s', (_how, open) => describeKernel('80 requests at once to 4 TLS servers are seen at the right port', () => {
  let servers: PortServers;
  beforeEach(async () => { servers = await startPortServers(SERVERS); });
  afterEach(() => servers.close());

  async function expectAccuracy(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<void> {
    const launch = command(program, [...args, ...servers.urls(REQUESTS)], env === undefined ? {} : { env: { ...process.env, ...env } });
    const { events, runner } = await captureCommand(launch, { addon: open(), families: ['process', 'tls'] });
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    expect(servers.answered).toHaveLength(REQUESTS);
    expectRightPorts(events, servers);
  }

  test('of Node', () => expectAccuracy(process.execPath, ['-e', NODE, servers.certPath]));
  test('of fetch', () => expectAccuracy(process.execPath, ['--input-type=module', '-e', NODE_FETCH], { NODE_EXTRA_CA_CERTS: servers.certPath }));
  test('of Python with asyncio', () => expectAccuracy('/usr/bin/python3', ['-c', ASYNCIO, servers.certPath]));
  test('of Python with a thread for each', () => expectAccuracy('/usr/bin/python3', ['-c', THREADS, servers.certPath]));
}));
