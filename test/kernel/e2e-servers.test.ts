/**
 * curl, Node, Go and Python against nginx, Node and Go, in HTTP/1.1 and HTTP/2, both ends traced: what the trace says of
 * each end must be what its own log says: methods, targets, status codes, sizes of bodies, versions, and how often.
 */
import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, beforeEach, it } from 'vitest';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { buildGo } from '../helpers/go.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { expectLogged } from '../helpers/server-logs.ts';

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

  for (const name of ['nginx', 'node', 'go']) {
    it(`${name}: the trace says of both ends what their logs say`, { timeout: 180_000 }, async () => {
      await expectLogged(dir, ['run', name === 'go' ? goProgram : name, goProgram], ASKED);
    });
  }
});
