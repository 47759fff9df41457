/** Each program's request and reply: both directions, once, of which library, at which endpoint. */
import { execFileSync } from 'node:child_process';
import { openSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Event } from '../../src/event.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, type CaptureTestOptions } from '../helpers/live-capture.ts';
import { expectRow, installedOpenSsl } from '../helpers/matrix.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';
import { seenConnections, type SeenConnection } from '../helpers/tls-clients.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

/** No two 16 KiB records of it are alike, so that a repeated or missing part shows. */
const BODY = Buffer.from(Array.from({ length: 8000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join(''));
const GNUTLS = /libgnutls\.so/;
const FAMILIES = { families: ['process', 'tls'] } as const satisfies CaptureTestOptions;

/** The connections that carried something, in the order of their beginning. */
function used(events: readonly Event[]): SeenConnection[] {
  return seenConnections(events).filter(({ read, written }) => read !== '' || written !== '');
}

interface Expected {
  /** Of the table of what is captured, and in which file it was hooked. */
  readonly row: string;
  readonly file: string | RegExp;
  readonly library: string;
  readonly port: number;
  readonly evidence: 'proven' | 'inferred';
  /** false where it passes no function that has a name: the first write starts it, or NSS does it. */
  readonly handshake?: boolean;
}

function expectAbout(connection: SeenConnection | undefined, { library, port, evidence, handshake = true }: Omit<Expected, 'row' | 'file'>): void {
  expect([...connection?.libraries ?? []]).toEqual([library]);
  expect(connection?.told).toMatchObject([{ endpoint: { family: 'ipv4', remote: { address: '127.0.0.1', port } }, evidence }]);
  expect(connection?.endpoints.every((endpoint) => endpoint === connection.told[0]?.endpoint)).toBe(true);
  expect(connection?.handshakes).toMatchObject(handshake ? [{ ok: true }] : []);
  for (const { latencyMs } of connection?.handshakes ?? []) expect(latencyMs).toBeGreaterThan(0);
  expect(connection?.closed).toBe(true);
}

const REQUEST = 'GET /file HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n';
const PYTHON = `
import ssl, sys, urllib.request
urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context()).read()
`;
const ASYNCIO = `
import asyncio, ssl, sys
async def main():
    reader, writer = await asyncio.open_connection('localhost', int(sys.argv[1]), ssl=ssl._create_unverified_context())
    writer.write(b'${REQUEST}')
    while await reader.read(65536): pass
    writer.close()
asyncio.run(main())
`;
const RUBY = `
require 'net/http'; require 'openssl'
uri = URI(ARGV[0])
Net::HTTP.start(uri.host, uri.port, use_ssl: true, verify_mode: OpenSSL::SSL::VERIFY_NONE) { |http| http.get(uri.path) }
`;
const PERL = `
use Net::SSLeay qw(get_https);
my ($page) = get_https('localhost', $ARGV[0], '/file');
die "no page" unless length $page;
`;
const PHP = `
$context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
exit(file_get_contents($argv[1], false, $context) === false ? 1 : 0);
`;

describeKernel('the plaintext of a program is seen whole, once, and at its endpoint', () => {
  let folder: TempDir;
  let server: RawTlsServer;
  beforeAll(() => {
    folder = tempDir();
    writeFileSync(folder.file('request'), REQUEST.replaceAll('\\r\\n', '\r\n'));
    execFileSync('certutil', ['-N', '-d', `sql:${folder.path}`, '--empty-password']);
  });
  afterAll(() => folder.remove());
  beforeEach(async () => { server = await startRawTlsServer(BODY); });
  afterEach(() => server.close());

  const url = (): string => `https://localhost:${server.port}/file`;

  async function expectProgram(
    program: string, args: readonly string[], expected: Omit<Expected, 'port'>, options: { readonly input?: string; readonly capture?: CaptureTestOptions } = {},
  ): Promise<void> {
    const input = options.input === undefined ? 'ignore' : openSync(folder.file(options.input), 'r');
    const launch = command(program, args, { stdio: [input, 'ignore', 'ignore'], env: { ...process.env, HOME: folder.path } });
    const { events, runner } = await captureCommand(launch, { ...FAMILIES, ...options.capture });
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    expect(server.connections).toHaveLength(1);
    const connections = used(events);
    expect(connections).toHaveLength(1);
    expect(connections[0]?.written).toBe(server.connections[0]?.received.toString('latin1'));
    expect(connections[0]?.read).toBe(server.connections[0]?.sent.toString('latin1'));
    expectAbout(connections[0], { ...expected, port: server.port });
    expect(events.filter(({ source }) => source === 'loss')).toEqual([]);
    expectRow(expected.row, events, expected.file);
  }

  const openssl = (row: string) => ({ row, library: 'openssl', evidence: 'proven', file: installedOpenSsl() } as const);

  test('curl', () => expectProgram('curl', ['-sk', '--http1.1', url()], openssl('OpenSSL, shared: curl')));
  test('openssl s_client', () =>
    expectProgram('openssl', ['s_client', '-quiet', '-connect', `localhost:${server.port}`], { ...openssl('OpenSSL, shared: openssl s_client'), handshake: false }, { input: 'request' }));
  test('Python', () => expectProgram('/usr/bin/python3', ['-c', PYTHON, url()], openssl('OpenSSL, shared: Python')));
  test('Python with asyncio, over memory', () =>
    expectProgram('/usr/bin/python3', ['-c', ASYNCIO, String(server.port)], { ...openssl('OpenSSL, shared: Python with asyncio'), evidence: 'inferred' }));
  test('Ruby', () => expectProgram('/usr/bin/ruby', ['-e', RUBY, url()], openssl('OpenSSL, shared: Ruby')));
  test('Perl', () => expectProgram('/usr/bin/perl', ['-e', PERL, String(server.port)], openssl('OpenSSL, shared: Perl')));
  test('PHP', () => expectProgram('/usr/bin/php', ['-r', PHP, url()], openssl('OpenSSL, shared: PHP')));
  test('wget, by GnuTLS', () =>
    expectProgram('wget', ['-q', '--no-check-certificate', '-O', '/dev/null', url()], { row: 'GnuTLS: wget', file: GNUTLS, library: 'gnutls', evidence: 'proven' }));
  test('gnutls-cli', () =>
    expectProgram('gnutls-cli', ['--insecure', '-p', String(server.port), 'localhost'],
      { row: 'GnuTLS: gnutls-cli', file: GNUTLS, library: 'gnutls', evidence: 'proven' }, { input: 'request' }));
  test('tstclnt, by NSS, and nothing of its other files', () =>
    expectProgram(
      'tstclnt', ['-4', '-h', 'localhost', '-p', String(server.port), '-o', '-d', `sql:${folder.path}`],
      { row: 'NSS: tstclnt', file: /libnspr4\.so/, library: 'nss', evidence: 'proven', handshake: false }, { input: 'request' },
    ));
});

const NODE_HTTPS = `
const { get } = require('node:https');
get(process.argv[1], { agent: false, rejectUnauthorized: false }, (response) => response.resume());
`;
const NODE_FETCH = 'for await (const part of (await fetch(process.argv[1])).body) part.length;';
const NODE_HTTP2 = `
const { connect } = require('node:http2');
const session = connect(process.argv[1], { rejectUnauthorized: false });
let left = 3;
for (let number = 0; number < 3; number++) {
  const stream = session.request({ ':path': '/' + number });
  stream.resume().on('end', () => { if (--left === 0) session.close(); });
}
`;
/** Who closes first leaves the last control frames of the other unread: some of SETTINGS, WINDOW_UPDATE and GOAWAY. */
const LAST_FRAMES_BYTES = 128;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

describeKernel('what Node says and hears is seen byte for byte', () => {
  let recorder: TlsRecorder | null = null;
  afterEach(async () => {
    await recorder?.close();
    recorder = null;
  });

  async function expectNode(row: string, program: string, started: TlsRecorder, lastBytes = 0): Promise<string> {
    recorder = started;
    const args = [...(program === NODE_FETCH ? ['--input-type=module'] : []), '-e', program, `https://localhost:${started.port}/`];
    const launch = command(process.execPath, args, { env: { ...process.env, NODE_EXTRA_CA_CERTS: started.certPath } });
    const { events, runner } = await captureCommand(launch, FAMILIES);
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    expect(started.connections).toHaveLength(1);
    const connections = used(events);
    expect(connections).toHaveLength(1);
    const { received = [], sent = [] } = started.connections[0] ?? {};
    expectSame(connections[0]?.written, Buffer.concat(received).toString('latin1'), lastBytes);
    expectSame(connections[0]?.read, Buffer.concat(sent).toString('latin1'), lastBytes);
    expectAbout(connections[0], { library: 'openssl', evidence: 'inferred', port: started.port });
    expectRow(row, events, process.execPath);
    return connections[0]?.written ?? '';
  }

  /** Byte for byte, but for the last ones, which may have reached one side only. */
  function expectSame(seen = '', atServer: string, lastBytes: number): void {
    const common = Math.min(seen.length, atServer.length);
    expect(seen.slice(0, common)).toBe(atServer.slice(0, common));
    expect(Math.max(seen.length, atServer.length) - common).toBeLessThanOrEqual(lastBytes);
  }

  async function stream(response: ServerResponse): Promise<void> {
    for (let part = 0; part < 5; part++) {
      response.write(`data: ${part}\n\n`);
      await delay(10);
    }
    response.end();
  }

  test('https, with a reply in parts', async () => {
    await expectNode('Node: https', NODE_HTTPS, await startTlsRecorder(createServer((_request, response) => void stream(response))));
  });

  test('fetch, with a reply in parts', async () => {
    await expectNode('Node: fetch', NODE_FETCH, await startTlsRecorder(createServer((_request, response) => void stream(response))));
  });

  test('http2, three streams', async () => {
    const plain = createHttp2Server((_request, response) => void response.end(BODY));
    expect(await expectNode('Node: http2', NODE_HTTP2, await startTlsRecorder(plain, { alpn: ['h2'] }), LAST_FRAMES_BYTES)).toMatch(new RegExp(`^${PREFACE.replaceAll('*', '\\*')}`));
  });
});
