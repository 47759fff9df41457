/** WebSockets of `ws`, Python and Go under `trace`, over TLS, bare, and through nginx, compressed and not: all ends of each say what they sent. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, it } from 'vitest';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { expectTalk } from '../helpers/websocket-talk.ts';

describeKernel('WebSockets under trace', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = tempDir();
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
  });
  afterEach(() => dir.remove());

  for (const transport of ['tls', 'plain', 'nginx'] as const) {
    for (const coding of ['whole', 'deflate'] as const) {
      it(`${transport}, ${coding}: every message of all ends, and a masked capture that says the same`, { timeout: 240_000 }, async () => {
        await expectTalk(dir, { transport, coding, client: 'ws' });
      });
    }
  }

  for (const transport of ['tls', 'nginx'] as const) {
    it(`${transport}: every message of Python and its server`, { timeout: 240_000 }, async () => {
      await expectTalk(dir, { transport, coding: 'whole', client: 'python' });
    });
  }

  for (const [transport, coding] of [['tls', 'whole'], ['plain', 'deflate']] as const) {
    it(`${transport}, ${coding}: every message of Go and its server`, { timeout: 240_000 }, async () => {
      await expectTalk(dir, { transport, coding, client: 'go' });
    });
  }
});
