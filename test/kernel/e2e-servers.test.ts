/**
 * curl, Node, Go and Python against nginx, Node and Go, in HTTP/1.1 and HTTP/2, both ends traced: what the trace says of
 * each end must be what its own log says: methods, targets, status codes, sizes of bodies, versions, and how often.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { CERTIFICATE_PROGRAM, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { ofSource, readEvents, runCli } from '../helpers/cli.ts';
import { buildGo } from '../helpers/go.ts';
import { describeKernel } from '../helpers/privilege.ts';

/** Of four clients, one of which knows HTTP/1.1 alone, with five requests each. */
const ASKED = 35;

describeKernel('clients and servers under trace', () => {
  let programs: TempDir;
  let goProgram: string;
  let dir: TempDir;
  beforeAll(() => {
    programs = tempDir();
    goProgram = buildGo(programs.path, 'servers.go', { name: 'servers', flags: [] });
  });
  afterAll(() => programs.remove());
  beforeEach(() => {
    dir = tempDir();
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
  });
  afterEach(() => dir.remove());

  /** The lines of a log, but for those of the driver that waits for a server. */
  function logLines(name: string): string[] {
    return readFileSync(dir.file(name), 'utf8').trim().split('\n').filter((line) => !line.includes('?up '))
      .map((line) => line.replace(/HTTP\/(\d)\.0$/, '$1').replace('HTTP/1.1', '1.1')).toSorted();
  }

  /** nginx answers a POST to a fixed text without its body, and in HTTP/2 asks the client not to send it (RFC 9113 §8.1). */
  function isUnread(data: Readonly<Record<string, unknown>>): boolean {
    return data['method'] === 'POST' && data['reason'] === 'stream reset: NO_ERROR';
  }

  for (const name of ['nginx', 'node', 'go']) {
    it(`${name}: the trace says of both ends what their logs say`, { timeout: 180_000 }, async () => {
      const file = dir.file('trace.jsonl');
      const load = [process.execPath, programPath('servers.mjs'), 'run', dir.path, name === 'go' ? goProgram : name, goProgram];
      const result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--source', 'http', '--', ...load], { cwd: dir.path, deadlineMs: 150_000 });
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(result.stderr).toContain('nothing lost');
      const exchanges = ofSource(readEvents(file), 'http').map(({ data }) => data).filter((data) => !String(data['url']).endsWith('?up'));
      for (const [role, log] of [['client', 'client.log'], ['server', 'server.log']] as const) {
        const side = exchanges.filter((data) => data['role'] === role);
        const told = side.map((data) => [
          data['method'], new URL(String(data['url'])).pathname + new URL(String(data['url'])).search, data['status'], data['response_body_bytes'], data['http_version'],
        ].join(' '));
        expect(told.toSorted(), role).toEqual(logLines(log));
        expect(told, role).toHaveLength(ASKED);
        const whole = side.filter((data) => !isUnread(data));
        expect(whole.filter((data) => data['state'] !== 'complete').map((data) => [data['method'], data['url'], data['reason']]), role).toEqual([]);
        for (const data of whole) expect(data['request_body_bytes'], String(data['url'])).toBe(data['method'] === 'POST' ? 50 : 0);
      }
    });
  }
});
