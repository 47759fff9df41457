/** --port: traffic of other ports is dropped in the kernel, of clients and servers, encrypted or not. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { from, toArray, lastValueFrom } from 'rxjs';
import { select } from '../../analyzers/filter.ts';
import { http } from '../../analyzers/http.ts';
import type { Event, HttpEvent } from '../../src/event.ts';
import { captureCommand, command, conversations, endChild, startCapture, tlsEvents, type CaptureTestOptions } from '../helpers/live-capture.ts';
import { netData, netEvents, startPlainServer, type PlainServer } from '../helpers/net.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startPortServers, type PortServers } from '../helpers/tls-clients.ts';
import { waitFor } from '../helpers/wait.ts';

let children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children) await endChild(child);
  children = [];
});

const run = (program: string, args: readonly string[], ports: readonly number[], options: CaptureTestOptions = {}) =>
  captureCommand(command(program, args), { families: ['process', 'net', 'tls'], selection: { ports }, ...options });

/** What reaches the sinks: exchanges of these ports. */
async function exchangesOf(events: readonly Event[], ports: readonly number[]): Promise<HttpEvent[]> {
  let id = 0;
  const all = await lastValueFrom(from(events).pipe(http({ nextId: () => `test.${id++}` }), select({ sources: ['http'], raw: false, ports }), toArray()));
  return all.filter((event) => event.source === 'http');
}

describeKernel('plain traffic', () => {
  let wanted: PlainServer;
  let others: PlainServer;
  beforeEach(async () => {
    [wanted, others] = [await startPlainServer(), await startPlainServer()];
  });
  afterEach(async () => {
    await wanted.close();
    await others.close();
  });
  const urls = (): string[] => [others, wanted, others].map(({ port }) => `http://127.0.0.1:${port}/of-${port}`);

  test('of a client: only that port is told, with its whole exchange', async () => {
    const { events } = await run('curl', ['-s', ...urls()], [wanted.port]);
    expect(others.requests).toHaveLength(2);
    const ports = netEvents(events).flatMap(({ data }) => ('endpoint' in data && data.endpoint !== null ? [data.endpoint.remote.port] : []));
    expect(new Set(ports)).toEqual(new Set([wanted.port]));
    expect((await exchangesOf(events, [])).map(({ data }) => [data.state, data.url])).toEqual([['complete', `http://127.0.0.1:${wanted.port}/of-${wanted.port}`]]);
  });

  test('of a client: without a port all, with two of them both', async () => {
    for (const ports of [[], [others.port, wanted.port]]) {
      const { events } = await run('curl', ['-s', ...urls()], ports);
      expect(await exchangesOf(events, ports)).toHaveLength(3);
    }
  });

  test('of a server: its own port counts', async () => {
    const server = `
      const { createServer } = require('node:http');
      const listen = () => new Promise((done) => { const one = createServer((_, to) => to.end('from ' + one.address().port)).listen(0, '127.0.0.1', () => done(one.address().port)); });
      listen().then(async (first) => console.log(first, await listen()));
      process.stdin.on('end', () => process.exit()).resume();
    `;
    const child = spawn(process.execPath, ['-e', server], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const [first = 0, second = 0] = String((await once(child.stdout, 'data'))[0]).trim().split(' ').map(Number);
    const running = startCapture({ pids: [child.pid ?? 0], families: ['process', 'net'], selection: { ports: [second] } });
    await running.ready;
    for (const port of [first, second]) expect(await (await fetch(`http://127.0.0.1:${port}/${port}`)).text()).toBe(`from ${port}`);
    await waitFor('the reply', () => netData(running.events, 'DATA').some(({ direction }) => direction === 'write'));
    child.stdin.end();
    await running.done;
    expect(new Set(netEvents(running.events).flatMap(({ data }) => ('endpoint' in data && data.endpoint !== null ? [data.endpoint.local.port] : [])))).toEqual(new Set([second]));
    expect((await exchangesOf(running.events, [second])).map(({ data }) => data.url)).toEqual([`http://127.0.0.1:${second}/${second}`]);
  });

  test('of datagrams: the port that each goes to', async () => {
    const lines = `
      import socket, sys
      from struct import pack
      query = pack('>HHHHHH', 7, 256, 1, 0, 0, 0) + b'\\x04' + sys.argv[2].encode() + b'\\x07example\\x00' + pack('>HH', 1, 1)
      socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, ('127.0.0.1', int(sys.argv[1])))
    `.replaceAll(/^ {6}/gm, '');
    const ask = (port: number, ports: readonly number[]) => run('/usr/bin/python3', ['-S', '-c', lines, String(port), 'aaaa'], ports);
    expect(netData((await ask(53, [53])).events, 'DNS')).toHaveLength(1);
    expect(netEvents((await ask(53, [54])).events)).toEqual([]);
  });

  test('of unix sockets, which have no port, is left out', async () => {
    const lines = 'import socket\na = socket.socket(socket.AF_UNIX)\na.bind("\\0agentsight-select")\na.listen()\n';
    const seen = async (ports: readonly number[]) => netEvents((await run('/usr/bin/python3', ['-S', '-c', lines], ports)).events).length;
    expect(await seen([])).toBeGreaterThan(0);
    expect(await seen([80])).toBe(0);
  });
});

const NODE = `
  const { get } = require('node:https');
  const ask = (url) => new Promise((done) => get(url, { rejectUnauthorized: false, agent: false }, (from) => from.resume().on('end', done)));
  (async () => { for (const url of process.argv.slice(1)) await ask(url); })();
`;
const ASYNCIO = `
import asyncio, ssl, sys
from urllib.parse import urlsplit
async def ask(url):
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port, ssl=ssl._create_unverified_context())
    writer.write(f'GET {at.path} HTTP/1.1\\r\\nHost: {at.netloc}\\r\\nConnection: close\\r\\n\\r\\n'.encode())
    while await reader.read(65536): pass
    writer.close()
async def main():
    for url in sys.argv[1:]: await ask(url)
asyncio.run(main())
`;

describeKernel('TLS', () => {
  let servers: PortServers;
  beforeEach(async () => {
    servers = await startPortServers(2);
  });
  afterEach(() => servers.close());

  test.each([
    ['curl', 'curl', ['-sk']],
    ['node', process.execPath, ['-e', NODE]],
    ['python asyncio', '/usr/bin/python3', ['-c', ASYNCIO]],
  ] as const)('of %s: plaintext of that port alone, whole', async (_name, program, args) => {
    const [other = 0, wanted = 0] = servers.ports;
    const urls = [other, wanted, other].map((port, index) => `https://127.0.0.1:${port}/${port}/${index}`);
    const { events } = await run(program, [...args, ...urls], [wanted]);
    expect(servers.answered).toHaveLength(3);
    const used = conversations(events).filter(({ written }) => written.length > 0);
    expect(used.map(({ written }) => written.toString('latin1').split(' ')[1])).toEqual([`/${wanted}/1`]);
    expect(used[0]?.read.toString('latin1')).toContain('HTTP/1.1 200');
    expect(new Set(tlsEvents(events).flatMap(({ data }) => ('endpoint' in data && data.endpoint !== null ? [data.endpoint.remote.port] : [])))).toEqual(new Set([wanted]));
    expect((await exchangesOf(events, [wanted])).map(({ data }) => [data.state, data.url])).toEqual([['complete', `https://127.0.0.1:${wanted}/${wanted}/1`]]);
  });
});
