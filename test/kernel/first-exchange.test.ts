/** A short client whose only exchange must not be over before its hooks are in. */
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { captureCommand, command, conversations, endChild } from '../helpers/live-capture.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';

const RUNS = 10;
const BODY = Buffer.from('the only answer\n');
const CLIENT = "require('node:https').get(process.argv[1], { rejectUnauthorized: false }, (response) => response.resume())";
/** Ends by itself, should nobody end it. */
const HOG = 'const end = Date.now() + 120_000; while (Date.now() < end);';

let folder: TempDir;
let server: RawTlsServer;
beforeAll(() => {
  folder = tempDir();
});
afterAll(() => folder.remove());
beforeEach(async () => {
  server = await startRawTlsServer(BODY);
});
afterEach(() => server.close());

async function expectFirstExchanges(words: (url: string) => readonly string[]): Promise<void> {
  for (let run = 0; run < RUNS; run++) {
    const [program = '', ...args] = words(`https://localhost:${server.port}/${run}`);
    const { events, runner } = await captureCommand(command(program, args), { families: ['tls'] });
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    const connection = server.connections.at(-1);
    expect(server.connections).toHaveLength(run + 1);
    const seen = conversations(events).filter(({ written }) => written.length > 0);
    expect(seen, `run ${run}`).toHaveLength(1);
    expect(seen[0]?.written.equals(connection?.received ?? Buffer.of()), `run ${run}: what was written`).toBe(true);
    expect(seen[0]?.read.equals(connection?.sent ?? Buffer.of()), `run ${run}: what was read`).toBe(true);
  }
}

describeKernel('the only exchange of a short Node is whole, each of ten times', () => {
  const viaEnv = (url: string): string[] => ['env', 'NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt', process.execPath, '-e', CLIENT, url];

  test('started by env', () => expectFirstExchanges(viaEnv), 120_000);

  test('started by env, beside a program that keeps a processor busy', async () => {
    const hog = spawn(process.execPath, ['-e', HOG], { stdio: 'ignore' });
    try {
      await expectFirstExchanges(viaEnv);
    } finally {
      await endChild(hog);
    }
  }, 120_000);

  test('started by a script that nobody can foresee, from a file that no PATH leads to', async () => {
    copyFileSync(process.execPath, folder.file('own-node'));
    chmodSync(folder.file('own-node'), 0o755);
    const script = `require('node:child_process').spawnSync(process.argv[2], ['-e', process.argv[3], process.argv[1]])`;
    await expectFirstExchanges((url) => [process.execPath, '-e', script, url, folder.file('own-node'), CLIENT]);
  }, 120_000);
});
