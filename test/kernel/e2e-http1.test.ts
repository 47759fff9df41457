/**
 * HTTP/1.1 of Node under `trace`, many connections at once, kept and pipelined.
 * Every request carries its number and every reply says it again, so that a wrong pair shows.
 */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CERTIFICATE_PROGRAM, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { ofSource, readEvents, runCli } from '../helpers/cli.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { expectRightPairs } from '../helpers/right-pairs.ts';

describeKernel('HTTP/1 under trace', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = tempDir();
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
  });
  afterEach(() => dir.remove());

  for (const threads of [1, 4]) {
    it(`Node: 10,000 requests over 100 connections of ${threads} threads, on both sides of them, are 10,000 right pairs`, { timeout: 240_000 }, async () => {
      const load = [process.execPath, programPath('http1-load.mjs'), dir.path, '100', '100', String(threads)];
      const file = dir.file('trace.jsonl');
      const result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--source', 'http', '--', ...load], { cwd: dir.path, deadlineMs: 220_000 });
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(result.stderr).toContain('nothing lost');
      const exchanges = ofSource(readEvents(file), 'http').map(({ data }) => data);
      expectRightPairs(exchanges, (id) => ({ http_version: '1.1', response_body: `id=${id};ask=${id};end` }));
    });
  }
});
