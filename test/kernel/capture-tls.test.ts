import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, openSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { captureCommand, command, conversations, endChild, startCapture, tlsEvents } from '../helpers/live-capture.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { expectRow, installedOpenSsl } from '../helpers/matrix.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';
import { waitFor } from '../helpers/wait.ts';

/** No two 16 KiB records of it are alike, so that a repeated or missing part shows. */
const BODY = Buffer.from(Array.from({ length: 20_000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join(''));

let folder: TempDir;
let server: RawTlsServer;
beforeAll(() => {
  folder = tempDir();
  writeFileSync(folder.file('body'), BODY);
});
afterAll(() => folder.remove());
beforeEach(async () => {
  server = await startRawTlsServer(BODY);
});
afterEach(() => server.close());

/** What each client said and heard, as the server has it. */
function expectWhole(events: Parameters<typeof conversations>[0], clients = 1): void {
  const seen = conversations(events).filter((conversation) => conversation.written.length > 0);
  expect(seen).toHaveLength(clients);
  expect(server.connections).toHaveLength(clients);
  for (const connection of server.connections) {
    expect(connection.received.length).toBeGreaterThan(0);
    const match = seen.find((conversation) => conversation.written.equals(connection.received));
    expect(match, 'no captured connection wrote what the server received').toBeDefined();
    expect(match?.read.equals(connection.sent), `read ${match?.read.length} of ${connection.sent.length} bytes`).toBe(true);
  }
}

const PYTHON = `
import ssl, sys, urllib.request
body = open(sys.argv[2], 'rb').read()
context = ssl._create_unverified_context()
urllib.request.urlopen(urllib.request.Request(sys.argv[1], data=body), context=context).read()
`;
const NODE = `
const { request } = require('node:https');
const { readFileSync } = require('node:fs');
const body = readFileSync(process.argv[2]);
const call = request(process.argv[1], { method: 'POST', rejectUnauthorized: false, headers: { 'content-length': body.length } });
call.on('response', (response) => response.resume()).end(body);
`;

describeKernel('TLS, 200 KB each way, is seen byte for byte', () => {
  const url = (): string => `https://localhost:${server.port}/upload`;

  test('of curl', async () => {
    const { events, runner } = await captureCommand(command('curl', ['-sk', '--http1.1', '--data-binary', `@${folder.file('body')}`, url()]));
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    expectWhole(events);
    expect(runner.tlsReport()).toMatchObject([{ comm: 'curl', root: true, state: 'captured', reason: null }]);
    expect(events).toContainEqual(expect.objectContaining({
      source: 'probe', data: expect.objectContaining({ library: 'openssl', status: 'attached', path: installedOpenSsl() }),
    }));
  });

  test('of Python', async () => {
    const { events, runner } = await captureCommand(command('/usr/bin/python3', ['-c', PYTHON, url(), folder.file('body')]));
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    expectWhole(events);
  });

  test('of Node, which has OpenSSL inside', async () => {
    const { events, runner } = await captureCommand(command(process.execPath, ['-e', NODE, url(), folder.file('body')]));
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    expectWhole(events);
    expect(runner.tlsReport()).toMatchObject([{ state: 'captured', libraries: expect.arrayContaining([process.execPath]) }]);
  });

  test('of openssl s_client', async () => {
    const request = Buffer.concat([Buffer.from(`POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${BODY.length}\r\n\r\n`), BODY]);
    writeFileSync(folder.file('request'), request);
    const stdin = openSync(folder.file('request'), 'r');
    const { events } = await captureCommand(command(
      'openssl', ['s_client', '-quiet', '-connect', `localhost:${server.port}`], { stdio: [stdin, 'ignore', 'ignore'] },
    ));
    expect(server.connections[0]?.received.equals(request)).toBe(true);
    expectWhole(events);
  });

  test('of a Node that a shell starts, hooked while it starts up', async () => {
    const { events } = await captureCommand(command('sh', ['-c', '"$@"; exit $?', 'sh', process.execPath, '-e', NODE, url(), folder.file('body')]));
    expectWhole(events);
  });

  test('of clients side by side, started by a shell', async () => {
    const clients = 5;
    const line = `for i in $(seq ${clients}); do curl -sk --http1.1 --data-binary @${folder.file('body')} ${url()} & done; wait`;
    const { events } = await captureCommand(command('sh', ['-c', line]));
    expectWhole(events, clients);
    expect(tlsEvents(events).filter(({ data }) => data.event === 'CLOSE').length).toBeGreaterThanOrEqual(clients);
  });
});

describeKernel('a TLS library', () => {
  test('that is not the installed one is found when a running program loads it', async () => {
    copyFileSync(installedOpenSsl(), folder.file('libssl.so.3'));
    const program = `import sys\nprint("up", flush=True)\ninput()\nimport ssl\nprint("loaded", flush=True)\ninput()\n${PYTHON}`;
    const child = spawn('/usr/bin/python3', ['-c', program, `https://localhost:${server.port}/`, folder.file('body')], {
      stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, LD_LIBRARY_PATH: folder.path },
    });
    try {
      await once(child.stdout, 'data');
      const run = startCapture({ pids: [child.pid ?? 0], families: ['tls'] });
      await run.ready;
      child.stdin.write('\n');
      const attached = () => run.events.some((event) =>
        event.source === 'probe' && event.data.path === folder.file('libssl.so.3') && event.data.status === 'attached');
      await waitFor('the copy to be hooked', attached);
      child.stdin.write('\n');
      await run.done;
      expectWhole(run.events);
      expectRow('OpenSSL, loaded late', run.events, folder.file('libssl.so.3'));
      expect(run.events.some((event) => event.source === 'process')).toBe(false);
    } finally {
      await endChild(child);
    }
  });

  test('that is missing is said of the root, and of a library that we do not hook', async () => {
    const { runner } = await captureCommand(command('true', []));
    expect(runner.tlsReport()).toMatchObject([{ comm: 'true', root: true, state: 'none', reason: expect.stringMatching(/no TLS library/) }]);
  });

  test('that carried nothing is told as silent', async () => {
    const run = startCapture({ launch: command('/usr/bin/python3', ['-c', 'import ssl, time; time.sleep(60)']), families: ['tls'] });
    await run.ready;
    await waitFor('libssl to be seen', () => run.runner.tlsReport().some((row) => row.libraries.length > 0));
    await run.runner.stop();
    run.runner.signal('SIGKILL');
    expect(run.runner.tlsReport()).toMatchObject([{ state: 'silent', readBytes: 0, writtenBytes: 0 }]);
    await run.runner.exit;
  });
});
