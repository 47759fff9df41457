/** Codex, a static program with rustls over AWS-LC, ring and OpenSSL inside, against a Responses API that answers the same to everything. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentProgram } from '../../src/setup/agents.mjs';
import { captureAgent, describeAgents, expectWhole } from '../helpers/agents.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { conversations } from '../helpers/live-capture.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

const PROMPT = 'name the river that runs through the town of the test';
const ANSWER = 'It is the river of the answer.';

function reply(request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== 'POST' || request.url !== '/v1/responses') {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const event = (type: string, fields: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
  const message = { type: 'message', role: 'assistant', id: 'msg_1', content: [{ type: 'output_text', text: ANSWER }] };
  response.write(event('response.created', { response: { id: 'resp_1' } }));
  for (const delta of ANSWER.match(/.{1,8}/g) ?? []) response.write(event('response.output_text.delta', { delta }));
  // The end in one piece: the client leaves when it has seen it.
  response.end([
    event('response.output_item.done', { item: message }),
    event('response.completed', { response: { id: 'resp_1', usage: { input_tokens: 10, output_tokens: 9, total_tokens: 19 } } }),
  ].join(''));
}

const CONFIG = (port: number): string => `
model = "of-the-test"
model_provider = "local"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.local]
name = "local"
base_url = "https://localhost:${port}/v1"
wire_api = "responses"
env_key = "LOCAL_KEY"
request_max_retries = 0
stream_max_retries = 0
`;

describeAgents('what Codex says and hears is seen byte for byte', () => {
  let folder: TempDir;
  let recorder: TlsRecorder;
  beforeEach(async () => {
    folder = tempDir();
    const plain = createServer((request, response) => void request.resume().on('end', () => reply(request, response)));
    recorder = await startTlsRecorder(plain, { certificate: 'leaf' });
  });
  afterEach(async () => {
    await recorder.close();
    folder.remove();
  });

  test('one prompt and the streamed answer', async () => {
    const program = agentProgram('codex');
    mkdirSync(folder.file('codex'));
    writeFileSync(folder.file('codex/config.toml'), CONFIG(recorder.port));
    const seen = await captureAgent({
      program,
      args: ['exec', '--skip-git-repo-check', PROMPT],
      env: { CODEX_HOME: folder.file('codex'), SSL_CERT_FILE: recorder.certPath, LOCAL_KEY: 'of-the-test' },
      folder,
    });
    expect(seen.output).toContain(ANSWER);
    expectWhole(seen, recorder, { row: 'rustls with AWS-LC: Codex', path: program, library: 'rustls', functions: ['EVP_AEAD_CTX_open', 'EVP_AEAD_CTX_seal'] });
    const asked = conversations(seen.events).find(({ written }) => written.includes(PROMPT));
    expect(asked?.written.toString('latin1')).toMatch(/^POST \/v1\/responses/);
    expect(asked?.read.toString('latin1')).toContain('event: response.completed');
  });
});
