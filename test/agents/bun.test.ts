/** Bun, whose BoringSSL has no names: the newest and a major version before it. */
import { writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentProgram } from '../../src/setup/agents.mjs';
import { captureAgent, describeAgents, expectWhole } from '../helpers/agents.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { expectRow } from '../helpers/matrix.ts';
import { expectRightPorts, startPortServers } from '../helpers/tls-clients.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

/** Larger than a TLS record in both directions. */
const BODY = Array.from({ length: 8000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join('');

const FETCH = `
const reply = await fetch(process.argv[2], { method: 'POST', body: '${'of many bytes '.repeat(3000)}' });
console.log((await reply.text()).length);
`;
const STREAM = `
let length = 0;
for await (const part of (await fetch(process.argv[2])).body) length += part.length;
console.log(length);
`;
const NODE_HTTPS = `
import { request } from 'node:https';
const asked = request(process.argv[2], { method: 'POST', agent: false, rejectUnauthorized: false }, (reply) => {
  let length = 0;
  reply.on('data', (part) => { length += part.length; });
  reply.on('end', () => console.log(length));
});
asked.end('a question');
`;
const MANY = `
const replies = await Promise.all(process.argv.slice(2).map(async (url) => (await fetch(url)).text()));
console.log(replies.length);
`;

async function stream(response: ServerResponse): Promise<void> {
  for (let part = 0; part < 5; part++) {
    response.write(`data: ${part}\n\n`);
    await delay(10);
  }
  response.end(BODY);
}

describeAgents('what bun says and hears is seen byte for byte', () => {
  let folder: TempDir;
  let recorder: TlsRecorder;
  beforeEach(async () => {
    folder = tempDir();
    recorder = await startTlsRecorder(createServer((request, response) => void request.resume().on('end', () => void stream(response))));
  });
  afterEach(async () => {
    await recorder.close();
    folder.remove();
  });

  describe.each([
    ['bun', 'bun: 80 requests at once'],
    ['bun-old', 'bun 0.8: 80 requests at once'],
  ] as const)('%s', (name, row) => {
    const program = agentProgram(name);
    const run = (source: string, urls: readonly string[]) => {
      writeFileSync(folder.file('program.mjs'), source);
      return captureAgent({ program, args: ['program.mjs', ...urls], env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', DO_NOT_TRACK: '1' }, folder });
    };

    test.each([
      ['fetch', FETCH],
      ['fetch, with a reply in parts', STREAM],
      ['node:https', NODE_HTTPS],
    ])('%s', async (_what, source) => {
      const seen = await run(source, [`https://localhost:${recorder.port}/`]);
      expect(seen.output).toContain(`${BODY.length + 5 * 'data: 0\n\n'.length}\n`);
      expectWhole(seen, recorder, { path: program, library: 'boringssl', functions: ['SSL_read', 'SSL_write'] });
    });

    test('80 requests at once to 4 servers, each at the right port', async () => {
      const servers = await startPortServers(4);
      try {
        const { events, output } = await run(MANY, servers.urls(80));
        expect(output).toContain('80\n');
        expectRightPorts(events, servers);
        expectRow(row, events, program);
      } finally {
        await servers.close();
      }
    });
  });
});
