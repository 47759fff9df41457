/** Chromium against nginx, Node and Go, in HTTP/1.1, HTTP/2 and WebSockets: what the page reports, what the server logs, and what the trace says of both. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, it } from 'vitest';
import { describeAgents } from '../helpers/agents.ts';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { buildGo } from '../helpers/go.ts';
import { expectLogged } from '../helpers/server-logs.ts';
import { expectTalk } from '../helpers/websocket-talk.ts';

/** In two versions, five requests each. */
const ASKED = 10;

describeAgents('Chromium and servers under trace', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = tempDir();
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
  });
  afterEach(() => dir.remove());

  for (const server of ['nginx', 'node', 'go']) {
    it(`${server}, HTTP/1.1 and HTTP/2: the trace says of both ends what their logs say`, async () => {
      await expectLogged(dir, ['browse', server === 'go' ? buildGo(dir.path, 'servers.go', { name: 'servers', flags: [] }) : server], ASKED);
    });
  }

  for (const [transport, coding] of [['tls', 'whole'], ['tls', 'deflate'], ['nginx', 'deflate']] as const) {
    it(`WebSockets, ${transport}, ${coding}: every message of all ends`, async () => {
      await expectTalk(dir, { transport, coding, client: 'chromium' });
    });
  }
});
