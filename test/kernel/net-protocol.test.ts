/** What connections speak that are neither HTTP nor TLS: real clients and real greetings, told while they last and at their end. */
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Event } from '../../src/event.ts';
import type { Spoken } from '../../src/spoken.ts';
import { tempDir } from '../helpers/files.ts';
import { captureCommand, command } from '../helpers/live-capture.ts';
import { netData } from '../helpers/net.ts';
import { describeKernel } from '../helpers/privilege.ts';

interface Talk {
  /** What the server says before it is spoken to. */
  readonly greeting?: string;
  readonly answer: string;
}

/** Says its greeting, answers once, and ends. */
async function startServer({ greeting, answer }: Talk, path?: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    if (greeting !== undefined) socket.write(Buffer.from(greeting, 'latin1'));
    socket.once('data', () => socket.end(Buffer.from(answer, 'latin1')));
  });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return server;
}

const portOf = (server: Server): string => String((server.address() as AddressInfo).port);

async function run(program: string, args: readonly string[]): Promise<readonly Event[]> {
  return (await captureCommand(command(program, args), { families: ['process', 'net'] })).events;
}

/** Connects, reads first where the server speaks first, and sends; two calls for the header and the rest, as libraries do. */
const CLIENT = `
import socket, sys
address, first, text = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode().decode('unicode_escape').encode('latin1')
s = socket.socket(socket.AF_UNIX) if address.startswith('/') else socket.socket()
s.connect(address if address.startswith('/') else ('127.0.0.1', int(address)))
if first: s.recv(4); s.recv(first)
s.sendall(text[:4]); s.sendall(text[4:])
while s.recv(4096): pass
`;

const python = (...args: readonly string[]): Promise<readonly Event[]> => run('/usr/bin/python3', ['-S', '-c', CLIENT, ...args]);

function expectTold(events: readonly Event[], speaks: Spoken, remote: object): void {
  const told = netData(events, 'PROTOCOL');
  expect(told).toMatchObject([{ speaks, tls: false, endpoint: { remote } }]);
  expect(netData(events, 'CLOSE').filter((socket) => socket.connection === told[0]?.connection)).toMatchObject([{ speaks }]);
}

describeKernel('a connection is told by its first bytes', () => {
  test('PostgreSQL, by psql where it is installed', async () => {
    const server = await startServer({ answer: 'N' });
    const port = Number(portOf(server));
    const events = await (existsSync('/usr/bin/psql')
      ? run('/usr/bin/psql', ['-w', '-c', 'select 1', `host=127.0.0.1 port=${port} user=me dbname=x sslmode=disable gssencmode=disable`])
      : python(String(port), '0', '\\x00\\x00\\x00\\x20\\x00\\x03\\x00\\x00user\\x00me\\x00database\\x00x\\x00\\x00'));
    expectTold(events, 'postgresql', { address: '127.0.0.1', port });
  });

  test('MySQL, whose server speaks first, read in two calls', async () => {
    const server = await startServer({ greeting: '\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0', answer: '\x07\0\0\x02\0\0\0\x02\0\0\0' });
    const events = await python(portOf(server), '64', '\\x20\\x00\\x00\\x01\\x85\\xae\\xff\\x19');
    expectTold(events, 'mysql', { port: Number(portOf(server)) });
  });

  test.each([['SET a b\\r\\n', '+OK\r\n'], ['ping\\n', '+PONG\r\n']])('Redis, by hand: %s', async (typed, answer) => {
    const server = await startServer({ answer });
    expectTold(await python(portOf(server), '0', typed), 'redis', { address: '127.0.0.1', port: Number(portOf(server)) });
  });

  test('Redis over a unix socket', async () => {
    const folder = tempDir();
    onTestFinished(folder.remove);
    const path = folder.file('redis.sock');
    await startServer({ answer: '+PONG\r\n' }, path);
    expectTold(await python(path, '0', '*1\\r\\n$4\\r\\nPING\\r\\n'), 'redis', { address: path, port: null });
  });

  test('DNS on a port of its own, in datagrams', async () => {
    const server = createSocket('udp4');
    onTestFinished(() => void server.close());
    server.on('message', (query, { port }) => server.send(Buffer.concat([query.subarray(0, 2), Buffer.of(0x81, 0x80), query.subarray(4)]), port, '127.0.0.1'));
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const events = await run('/usr/bin/python3', ['-S', '-c', `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('127.0.0.1', int(sys.argv[1])))
s.send(bytes.fromhex('123401000001000000000000076578616d706c6504746573740000010001'))
s.recv(512)
`, String(port)]);
    expectTold(events, 'dns', { address: '127.0.0.1', port });
  });

  test('what is not known has no name, and neither has HTTP a second one', async () => {
    const smtp = await startServer({ greeting: '220 mail.test ESMTP\r\n', answer: '221 bye\r\n' });
    const mail = await python(portOf(smtp), '64', 'QUIT\\r\\n');
    expect(netData(mail, 'PROTOCOL')).toEqual([]);
    expect(netData(mail, 'CLOSE')).toMatchObject([{ speaks: null }]);
    const web = await startServer({ answer: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' });
    const page = await python(portOf(web), '0', 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
    expect(netData(page, 'PROTOCOL')).toEqual([]);
    expect(netData(page, 'CLOSE')).toMatchObject([{ speaks: 'http' }]);
  });
});
