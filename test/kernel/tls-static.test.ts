/** Programs with OpenSSL 3 inside, with symbols and without: both directions, once, and how it was found. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, conversations, tlsEvents } from '../helpers/live-capture.ts';
import { expectRow } from '../helpers/matrix.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';

const BODY = Buffer.from('the answer, line by line\n'.repeat(4000));

let folder: TempDir;
let server: RawTlsServer;
beforeAll(() => {
  folder = tempDir();
  const libraries = ['-l:libssl.a', '-l:libcrypto.a'];
  execFileSync('cc', ['-O2', '-o', folder.file('with-symbols'), programPath('tls-client.c'), ...libraries], { stdio: 'ignore' });
  copyFileSync(folder.file('with-symbols'), folder.file('stripped'));
  execFileSync('strip', [folder.file('stripped')]);
});
afterAll(() => folder.remove());
beforeEach(async () => {
  server = await startRawTlsServer(BODY);
});
afterEach(() => server.close());

describeKernel('a program with OpenSSL inside is seen whole', () => {
  test.each([
    ['with-symbols', 'plain', 'OpenSSL, linked in, with symbols'],
    ['with-symbols', 'ex', 'OpenSSL, linked in, with symbols'],
    ['stripped', 'plain', 'OpenSSL, linked in, stripped'],
    ['stripped', 'ex', 'OpenSSL, linked in, stripped'],
  ])('%s, through the %s functions', async (name, functions, row) => {
    const { events, runner } = await captureCommand(command(folder.file(name), [String(server.port), functions]));
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    const [connection] = server.connections;
    expect(conversations(events)).toEqual([{ comm: name, written: connection?.received, read: connection?.sent }]);
    expect(new Set(tlsEvents(events).flatMap(({ data }) => (data.event === 'DATA' ? [data.library] : [])))).toEqual(new Set(['openssl']));
    expectRow(row, events, folder.file(name));
    const probes = events.flatMap((event) => (event.source === 'probe' && event.data.path === folder.file(name) ? [event.data] : []));
    expect(probes).toEqual([expect.objectContaining({
      library: 'openssl', status: 'attached', build_id: expect.stringMatching(/^[0-9a-f]{40}$/),
      functions: expect.arrayContaining(['ssl_read_internal', 'ssl_write_internal']),
    })]);
    expect(probes[0]?.steps[0]).toMatchObject({ step: 'symbols' });
    expect(probes[0]?.steps.at(-1)).toMatchObject({ step: 'attach' });
  });
});
