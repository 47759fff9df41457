/** What is not captured is said by name: by whom, to whom, and why. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { blindSpots } from '../../src/cli/summary.ts';
import type { Event, ProbeEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, endChild, startCapture, tlsEvents, type CaptureTestOptions, type RunningCapture } from '../helpers/live-capture.ts';
import { expectRow } from '../helpers/matrix.ts';
import { netEvents } from '../helpers/net.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';
import { startSilentTlsServer } from '../helpers/silent-tls-server.ts';
import { waitFor } from '../helpers/wait.ts';

const FAMILIES = { families: ['process', 'net', 'tls'] } as const satisfies CaptureTestOptions;
const NAME = 'unseen.example.test';

let folder: TempDir;
let server: RawTlsServer;
beforeAll(() => {
  folder = tempDir();
  const build = (name: string, libraries: readonly string[]): void =>
    void execFileSync('cc', ['-O2', '-o', folder.file(name), programPath('mbedtls-get.c'), ...libraries], { stdio: 'ignore' });
  build('dynamic', ['-lmbedtls', '-lmbedx509', '-lmbedcrypto']);
  build('inside', ['-l:libmbedtls.a', '-l:libmbedx509.a', '-l:libmbedcrypto.a']);
  build('stripped', ['-s', '-l:libmbedtls.a', '-l:libmbedx509.a', '-l:libmbedcrypto.a']);
});
afterAll(() => folder.remove());
beforeEach(async () => { server = await startRawTlsServer(Buffer.from('an answer')); });
afterEach(() => server.close());

const run = (program: string, args: readonly string[]): Promise<RunningCapture> => captureCommand(command(program, args), FAMILIES);
const port = (): string => String(server.port);

function unseen(events: readonly Event[]): ProbeEvent[] {
  return events.filter((event) => event.source === 'probe').filter(({ data }) => data.status === 'unseen');
}

/** One event, one row and one line say the same. */
function expectTold({ events, runner }: RunningCapture, comm: string, state: string, reason: RegExp): void {
  expect(unseen(events)).toMatchObject([{ comm, data: { status: 'unseen', reason: expect.stringMatching(reason) } }]);
  const [event] = unseen(events);
  const rows = runner.tlsReport().filter(({ speaks }) => speaks);
  expect(rows).toMatchObject([{ comm, state, speaks: true, process: event?.process, reason: event?.data.reason }]);
  expect(blindSpots(runner.tlsReport())[0]).toBe(`no TLS plaintext: pid ${event?.pid} ${comm}: ${event?.data.reason}`);
}

describeKernel('TLS of which no plaintext is seen', () => {
  test('by a library that nobody can tell: named with its program and the host', async () => {
    const capture = await run(folder.file('stripped'), [port(), NAME]);
    expect(await capture.runner.exit).toMatchObject({ exitCode: 0 });
    expectTold(capture, 'stripped', 'unrecognised', new RegExp(`^speaks TLS to ${NAME} by a library that was not recognised$`));
    expect(unseen(capture.events)[0]).toMatchObject({ data: { path: folder.file('stripped'), library: null } });
    expectRow('any other library', capture.events);
  });

  test.each(['dynamic', 'inside'])('by mbedTLS, %s: named', async (program) => {
    const capture = await run(folder.file(program), [port(), NAME]);
    expect(await capture.runner.exit).toMatchObject({ exitCode: 0 });
    expectTold(capture, program, 'unsupported', new RegExp(`^mbedTLS, not captured \\(TLS to ${NAME}, `));
    expect(unseen(capture.events)[0]).toMatchObject({ data: { library: 'mbedtls' } });
    expect(capture.events).toContainEqual(expect.objectContaining({
      source: 'probe', data: expect.objectContaining({ status: 'absent', library: 'mbedtls', reason: 'mbedTLS, not captured' }),
    }));
    expectRow('mbedTLS, shared or linked in', capture.events);
  });

  test('by Java: named as JSSE', async () => {
    const capture = await run('keytool', ['-printcert', '-sslserver', `localhost:${server.port}`]);
    expectTold(capture, 'keytool', 'unsupported', /^JSSE, not captured \(TLS to (localhost|127\.0\.0\.1:\d+), .*libjvm\.so\)$/);
    expect(unseen(capture.events)[0]).toMatchObject({ data: { library: 'jsse', path: expect.stringMatching(/libjvm\.so$/) } });
    expectRow('Java: JSSE', capture.events);
  });

  test('in a child that a shell has started: told of the child', async () => {
    const capture = await run('/bin/sh', ['-c', `${folder.file('stripped')} ${server.port} ${NAME}; true`]);
    expectTold(capture, 'stripped', 'unrecognised', /not recognised$/);
  });

  test('while it still runs: told after some seconds, once', async () => {
    const greeted = await startSilentTlsServer();
    const capture = startCapture({ launch: command(folder.file('stripped'), [String(greeted.port), NAME]), ...FAMILIES });
    try {
      await waitFor('it to be told', () => unseen(capture.events).length > 0, LIMITS.tlsUnseenMs + 60_000);
      expect(unseen(capture.events)[0]?.data.reason).toMatch(/not recognised$/);
    } finally {
      capture.runner.signal('SIGKILL');
      await capture.done;
      await greeted.close();
    }
    expect(unseen(capture.events)).toHaveLength(1);
  });

  test('that began before the trace: told by its first records', async () => {
    const greeted = await startSilentTlsServer();
    const child = spawn(folder.file('stripped'), [String(greeted.port), NAME], { stdio: 'ignore' });
    try {
      const socket = await greeted.asked;
      const capture = startCapture({ pids: [child.pid ?? 0], ...FAMILIES });
      await capture.ready;
      socket.end('the answer, at last');
      await capture.done;
      expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0);
      expectTold(capture, 'stripped', 'unrecognised', new RegExp(`^speaks TLS to 127\\.0\\.0\\.1:${greeted.port} by a library that was not recognised$`));
      expect(netEvents(capture.events).filter(({ data }) => data.event === 'HELLO')).toMatchObject([{ data: { existing: true, role: null } }]);
      expectRow('any other library, since before the trace', capture.events);
    } finally {
      await endChild(child);
      await greeted.close();
    }
  });
});

const KTLS = `
import errno, socket, sys
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
try:
    plain.setsockopt(socket.IPPROTO_TCP, 31, b'tls')
    print('null')
except OSError as error:
    print(errno.errorcode[error.errno])
`;

describeKernel('TLS in the kernel', () => {
  test('is told when a program asks for it, with what came of it', async () => {
    const out = openSync(folder.file('result'), 'w');
    const { events } = await captureCommand(command('/usr/bin/python3', ['-c', KTLS, port()], { stdio: ['ignore', out, 'inherit'] }), FAMILIES);
    closeSync(out);
    const asked = netEvents(events).filter(({ data }) => data.event === 'KTLS');
    expect(asked).toMatchObject([{ data: { endpoint: { remote: { port: server.port } } } }]);
    expectRow('kernel TLS', events);
    expect(asked.map(({ data }) => String(data.event === 'KTLS' && data.error))).toEqual([readFileSync(folder.file('result'), 'utf8').trim()]);
  });
});

describeKernel('TLS of which plaintext is seen', () => {
  test('is not told as unseen, of curl, which sends by itself, and of Node, which has memory between', async () => {
    for (const [program, args] of [
      ['curl', ['-sk', `https://localhost:${server.port}/`]],
      [process.execPath, ['-e', `require('https').get('https://localhost:${server.port}/', { rejectUnauthorized: false }, (r) => r.resume())`]],
    ] as const) {
      const { events, runner } = await run(program, args);
      expect(await runner.exit).toMatchObject({ exitCode: 0 });
      expect(tlsEvents(events).some(({ data }) => data.event === 'DATA')).toBe(true);
      expect(unseen(events)).toEqual([]);
      expect(blindSpots(runner.tlsReport())).toEqual([]);
    }
  });

  test('nor is a handshake that failed', async () => {
    const { events, runner } = await run('curl', ['-s', `https://localhost:${server.port}/`]);
    expect(await runner.exit).toMatchObject({ exitCode: 60 });
    expect(unseen(events)).toEqual([]);
    expect(runner.tlsReport()).toMatchObject([{ state: 'silent', speaks: false }]);
  });
});
