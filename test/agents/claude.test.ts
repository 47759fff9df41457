/** Claude Code, one file with bun inside, against a model API that answers the same to everything. */
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
  if (request.method !== 'POST' || !request.url?.startsWith('/v1/messages') || request.url.includes('count_tokens')) {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"type":"error","error":{"type":"not_found_error","message":"not here"}}');
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const event = (type: string, fields: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
  response.write(event('message_start', {
    message: {
      id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-test', content: [], stop_reason: null, stop_sequence: null,
      usage: { input_tokens: 10, output_tokens: 1 },
    },
  }));
  response.write(event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }));
  for (const text of ANSWER.match(/.{1,8}/g) ?? []) {
    response.write(event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }));
  }
  // The end in one piece: the client leaves when it has seen it.
  response.end([
    event('content_block_stop', { index: 0 }),
    event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 9 } }),
    event('message_stop', {}),
  ].join(''));
}

describeAgents('what Claude Code says and hears is seen byte for byte', () => {
  let folder: TempDir;
  let recorder: TlsRecorder;
  beforeEach(async () => {
    folder = tempDir();
    recorder = await startTlsRecorder(createServer((request, response) => void request.resume().on('end', () => reply(request, response))));
  });
  afterEach(async () => {
    await recorder.close();
    folder.remove();
  });

  test('one prompt and the streamed answer', async () => {
    const program = agentProgram('claude');
    const seen = await captureAgent({
      program,
      args: ['-p', PROMPT],
      env: {
        ANTHROPIC_BASE_URL: `https://localhost:${recorder.port}`,
        ANTHROPIC_API_KEY: 'sk-ant-of-the-test',
        NODE_EXTRA_CA_CERTS: recorder.certPath,
        CLAUDE_CONFIG_DIR: folder.file('config'),
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
        IS_SANDBOX: '1',
      },
      folder,
    });
    expect(seen.output).toContain(ANSWER);
    expectWhole(seen, recorder, { row: 'Claude Code', path: program, library: 'boringssl', functions: ['SSL_read', 'SSL_write'] });
    const asked = conversations(seen.events).find(({ written }) => written.includes(PROMPT));
    expect(asked?.written.toString('latin1')).toMatch(/^POST \/v1\/messages/);
    expect(asked?.read.toString('latin1')).toContain('event: message_stop');
  });
});
