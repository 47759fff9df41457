/** Programs and libraries whose file is replaced or deleted while they run: each is seen by its own inode. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, utimesSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Event, ProbeData } from '../../src/event.ts';
import { captureCommand, command, conversations, endChild, startCapture } from '../helpers/live-capture.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { installedOpenSsl } from '../helpers/matrix.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';
import { waitFor } from '../helpers/wait.ts';

const RUNS = 3;
const BODY = Buffer.from('line by line\n'.repeat(5000));

let folder: TempDir;
let server: RawTlsServer;
beforeEach(async () => {
  folder = tempDir();
  server = await startRawTlsServer(BODY);
});
afterEach(async () => {
  await server.close();
  folder.remove();
});

function hooked(events: readonly Event[], path: string): ProbeData[] {
  return events.flatMap((event) => (event.source === 'probe' && event.data.path === path && event.data.status === 'attached' ? [event.data] : []));
}

/** The last exchanges that the server had, and no other, whole, in any order. */
function expectLast(events: readonly Event[], count: number): void {
  const carried = server.connections.slice(-count);
  expect(carried).toHaveLength(count);
  const seen = conversations(events).filter(({ written }) => written.length > 0).map(({ written, read }) => `${written.toString()}\n${read.toString()}`);
  expect(seen.toSorted()).toEqual(carried.map(({ received, sent }) => `${received.toString()}\n${sent.toString()}`).toSorted());
}

/** Asks, puts another file in its place, has that one ask and ask again, and asks once more itself. */
const UPDATE = `
const { get } = require('node:https');
const { renameSync } = require('node:fs');
const { spawn } = require('node:child_process');
const [url, update] = process.argv.slice(1);
const ask = (path) => new Promise((resolve, reject) => {
  get(url + path, { agent: false, rejectUnauthorized: false }, (reply) => reply.resume().on('end', resolve)).on('error', reject);
});
(async () => {
  await ask(update ? '/old/1' : '/new/1');
  if (!update) return ask('/new/2');
  renameSync(update, process.execPath);
  const child = spawn(process.execPath, ['-e', process.env.PROGRAM, url], { stdio: 'inherit' });
  await new Promise((resolve) => child.on('exit', (code) => { process.exitCode = code; resolve(); }));
  await ask('/old/2');
})();
`;

describeKernel('a program that updates itself', () => {
  test('is seen whole before and after, in both files, from the first byte, each of three times', async () => {
    for (let run = 0; run < RUNS; run++) {
      const program = folder.file(`agent-${run}`);
      const update = folder.file(`update-${run}`);
      for (const path of [program, update]) {
        copyFileSync(process.execPath, path);
        chmodSync(path, 0o755);
      }
      const launch = command(program, ['-e', UPDATE, `https://localhost:${server.port}/${run}`, update], { env: { ...process.env, PROGRAM: UPDATE } });
      const { events, runner } = await captureCommand(launch, { families: ['process', 'tls'] });
      expect(await runner.exit).toMatchObject({ exitCode: 0 });
      expectLast(events, 4);
      // Two files under one name.
      expect(hooked(events, program)).toHaveLength(2);
    }
  });
});

describeKernel('a program whose file is written anew, in place', () => {
  test('is hooked where the functions are now, though its inode is the same', { timeout: 120_000 }, async () => {
    const program = folder.file('agent');
    for (const [name, flag] of [['one', '-pie'], ['two', '-no-pie']] as const) {
      execFileSync('cc', ['-O2', '-w', flag, '-o', folder.file(name), programPath('tls-client.c'), '-l:libssl.a', '-l:libcrypto.a'], { stdio: 'ignore' });
    }
    copyFileSync('/bin/true', program);
    const shell = spawn('sh', { stdio: ['pipe', 'ignore', 'ignore'] });
    const run = startCapture({ pids: [shell.pid ?? 0], families: ['process', 'tls'] });
    const probes = (): ProbeData[] => hooked(run.events, program);
    const ended = (): number => run.events.filter(({ source, data }) => source === 'process' && data.event === 'EXIT').length;
    let runs = 0;
    const runToEnd = async (...args: readonly string[]): Promise<void> => {
      shell.stdin.write(`${program} ${args.join(' ')}\n`);
      runs++;
      await waitFor('it to end', () => ended() === runs);
    };
    const talk = (): Promise<void> => runToEnd(String(server.port), 'plain');
    try {
      await run.ready;
      await runToEnd();
      for (const [name, count] of [['one', 1], ['two', 2]] as const) {
        // Into the same inode; its own copy is there when the first one that runs it is looked at.
        copyFileSync(folder.file(name), program);
        await runToEnd();
        await waitFor(`${name} to be hooked`, () => probes().length === count);
        await talk();
        // Another time, the same bytes: its hooks stay as they are.
        utimesSync(program, 1, count);
        await talk();
      }
      expect(new Set(probes().map(({ build_id: buildId }) => buildId)).size).toBe(2);
      expect(probes()).toHaveLength(2);
      shell.stdin.end();
      await run.done;
      expectLast(run.events, 4);
      expect(run.events.filter(({ source }) => source === 'loss')).toEqual([]);
    } finally {
      await endChild(shell);
    }
  });
});

/** OpenSSL through a library that has no name any more when it is loaded. */
const NAMELESS = `
import ctypes, os, socket, sys
path, port = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDONLY)
os.unlink(path)
ssl = ctypes.CDLL(f'/proc/self/fd/{fd}')
for name in ('TLS_client_method', 'SSL_CTX_new', 'SSL_new'): getattr(ssl, name).restype = ctypes.c_void_p
print('loaded', flush=True)
input()
connection = socket.create_connection(('127.0.0.1', port))
context = ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_client_method())))
talk = ctypes.c_void_p(ssl.SSL_new(context))
ssl.SSL_set_fd(talk, connection.fileno())
if ssl.SSL_connect(talk) != 1: sys.exit('no handshake')
request = b'GET /nameless HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'
if ssl.SSL_write(talk, request, len(request)) != len(request): sys.exit('not written')
buffer = ctypes.create_string_buffer(16384)
while ssl.SSL_read(talk, buffer, len(buffer)) > 0: pass
ssl.SSL_free(talk)
`;

describeKernel('a library that was deleted', () => {
  test('before it is loaded is found through its process', async () => {
    const library = folder.file('libssl.so.3');
    copyFileSync(installedOpenSsl(), library);
    const child = spawn('/usr/bin/python3', ['-c', NAMELESS, library, String(server.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      const run = startCapture({ pids: [child.pid ?? 0], families: ['tls'] });
      await run.ready;
      await once(child.stdout, 'data');
      await waitFor('it to be hooked', () => hooked(run.events, library).length > 0);
      child.stdin.write('\n');
      await run.done;
      expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0);
      expectLast(run.events, 1);
      expect(hooked(run.events, library)).toMatchObject([{ library: 'openssl', method: 'internal', place: expect.stringMatching(/^\/proc\/\d+\/map_files\//) }]);
    } finally {
      await endChild(child);
    }
  });
});
