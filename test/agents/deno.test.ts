/** Deno, whose rustls encrypts by AWS-LC: TLS records pass there, one by one, and each direction by itself. */
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentProgram } from '../../src/setup/agents.mjs';
import { captureAgent, describeAgents, expectWhole } from '../helpers/agents.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

const BODY = Array.from({ length: 8000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join('');
const FETCH = `
const reply = await fetch(Deno.args[0], { method: 'POST', body: '${'of many bytes '.repeat(3000)}' });
let length = 0;
for await (const part of reply.body) length += part.length;
console.log(length);
`;

describeAgents('what Deno says and hears is seen byte for byte', () => {
  let folder: TempDir;
  let recorder: TlsRecorder;
  beforeEach(async () => {
    folder = tempDir();
    const plain = createServer(async (request, response) => {
      request.resume();
      for (let part = 0; part < 5; part++) {
        response.write(`data: ${part}\n\n`);
        await delay(10);
      }
      response.end(BODY);
    });
    recorder = await startTlsRecorder(plain, { certificate: 'leaf' });
  });
  afterEach(async () => {
    await recorder.close();
    folder.remove();
  });

  test('fetch, with a reply in parts', async () => {
    const program = agentProgram('deno');
    writeFileSync(folder.file('program.mjs'), FETCH);
    const seen = await captureAgent({
      program,
      args: ['run', '--allow-all', '--no-lock', 'program.mjs', `https://localhost:${recorder.port}/`],
      env: { DENO_DIR: folder.file('deno'), DENO_NO_UPDATE_CHECK: '1', DENO_CERT: recorder.certPath, NO_COLOR: '1' },
      folder,
    });
    expect(seen.output).toContain(`${BODY.length + 5 * 'data: 0\n\n'.length}\n`);
    expectWhole(seen, recorder, { row: 'rustls with AWS-LC: Deno', path: program, library: 'rustls', functions: ['EVP_AEAD_CTX_open', 'EVP_AEAD_CTX_seal'] });
  });
});
