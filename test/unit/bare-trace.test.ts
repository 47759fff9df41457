import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../helpers/files.ts';

/** Imports that are there at run time and at once: not types, not `import()`. */
const STATIC_IMPORT = /^(?:import|export) (?!type )[^;]*?from '([^']+)';|^import '([^']+)';/gm;

/** Every package that these files load before they do anything. */
function packagesOf(entries: readonly string[]): Set<string> {
  const packages = new Set<string>();
  const waiting = entries.map((entry) => join(ROOT, entry));
  const seen = new Set(waiting);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    for (const [, from, bare] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
      const name = from ?? bare ?? '';
      const path = join(dirname(file), name);
      if (!name.startsWith('.')) packages.add(name);
      else if (!seen.has(path)) {
        seen.add(path);
        waiting.push(path);
      }
    }
  }
  return new Set([...packages].filter((name) => !name.startsWith('node:')));
}

test('a trace without a hub loads two packages, which are bundled with it: what a start costs is mostly what it loads', () => {
  expect(packagesOf(['src/cli/main.ts', 'src/cli/elevate.ts', 'src/cli/trace.ts'])).toEqual(new Set(['commander', 'rxjs']));
});
