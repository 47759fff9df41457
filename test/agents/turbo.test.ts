/** Turborepo against a build cache of ours: rustls with ring 0.17, published without symbols, on many threads. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentProgram } from '../../src/setup/agents.mjs';
import { captureAgent, describeAgents, expectWhole } from '../helpers/agents.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { conversations } from '../helpers/live-capture.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

/** Its one package builds a file of this size, which goes to the cache. */
const BUILT = 'a line of what was built\n'.repeat(4000);

const REPOSITORY: Readonly<Record<string, object>> = {
  'package.json': { name: 'all', private: true, packageManager: 'npm@10.0.0', workspaces: ['one'] },
  'turbo.json': { tasks: { build: { outputs: ['built'] } } },
  'one/package.json': { name: 'one', version: '1.0.0', scripts: { build: 'cp source built' } },
  'package-lock.json': {
    name: 'all',
    lockfileVersion: 3,
    packages: { '': { name: 'all', workspaces: ['one'] }, 'node_modules/one': { resolved: 'one', link: true }, one: { version: '1.0.0' } },
  },
};

function reply({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
  const isStatus = url.startsWith('/v8/artifacts/status');
  const isMiss = method === 'GET' && !isStatus;
  const body = isStatus ? '{"status":"enabled"}' : '{"urls":[]}';
  response.writeHead(isMiss ? 404 : 200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}

describeAgents('what Turborepo says and hears is seen byte for byte', () => {
  let folder: TempDir;
  let recorder: TlsRecorder;
  beforeEach(async () => {
    folder = tempDir();
    mkdirSync(folder.file('one'));
    for (const [path, content] of Object.entries(REPOSITORY)) writeFileSync(folder.file(path), JSON.stringify(content));
    writeFileSync(folder.file('one/source'), BUILT);
    const plain = createServer((request, response) => void request.resume().on('end', () => reply(request, response)));
    recorder = await startTlsRecorder(plain, { certificate: 'leaf' });
  });
  afterEach(async () => {
    await recorder.close();
    folder.remove();
  });

  test('a build that is asked for, made and sent to the cache', async () => {
    const program = agentProgram('turbo');
    const seen = await captureAgent({
      program,
      args: ['run', 'build'],
      env: {
        TURBO_API: `https://localhost:${recorder.port}`,
        TURBO_TOKEN: 'of-the-test',
        TURBO_TEAMID: 'team_of_the_test',
        TURBO_TELEMETRY_DISABLED: '1',
        DO_NOT_TRACK: '1',
        SSL_CERT_FILE: recorder.certPath,
      },
      folder,
    });
    expect(seen.output).toContain('1 successful');
    expectWhole(seen, recorder, { row: 'rustls with ring 0.17: Turborepo', path: program, library: 'rustls', functions: ['aes_gcm_open', 'aes_gcm_seal'] });
    expect(conversations(seen.events).some(({ written }) => written.includes('PUT /v8/artifacts/'))).toBe(true);
  });
});
