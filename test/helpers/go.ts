/** Programs of Go, built by the tests from test/programs/go. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { programPath, ROOT } from './files.ts';

export interface GoBuild {
  readonly name: string;
  readonly flags: readonly string[];
}

export const GO_BUILDS: readonly GoBuild[] = [
  { name: 'symbols', flags: [] },
  { name: 'stripped', flags: ['-ldflags=-s -w'] },
  { name: 'stripped-pie', flags: ['-buildmode=pie', '-ldflags=-s -w'] },
];

/** Position-independent builds compile the standard library anew: a minute, once per checkout. */
const CACHE = join(ROOT, 'node_modules/.cache/go');

/** Libraries of Go that are Debian packages. */
const DEBIAN_SOURCES = '/usr/share/gocode';

/** Builds without a network, with the standard library and what Debian has. Gives the program's path. */
export function buildGo(folder: string, source: string, { name, flags }: GoBuild): string {
  const program = join(folder, `go-${name}`);
  execFileSync('go', ['build', ...flags, '-o', program, programPath(join('go', source))], {
    env: { ...process.env, GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local', GO111MODULE: 'off', GOPATH: DEBIAN_SOURCES, GOCACHE: CACHE },
  });
  return program;
}
