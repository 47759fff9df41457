/** The table of known builds is as its schema says, and is used where it fits and nowhere else. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { UPROBE_PROGRAMS } from '../../src/addon.ts';
import type { ElfView } from '../../src/runners/locate/elf.ts';
import { KNOWN_BUILDS_FILE, knownBuild, knownBuilds } from '../../src/runners/locate/known-builds.ts';

const tableSchema = z.strictObject({
  builds: z.array(z.strictObject({
    buildId: z.string().regex(/^[0-9a-f]{8,128}$/),
    of: z.string().min(1),
    library: z.enum(['openssl', 'gnutls', 'nss', 'boringssl', 'rustls', 'go']),
    functions: z.array(z.string().min(1)).min(1),
    probes: z.array(z.strictObject({ program: z.enum(UPROBE_PROGRAMS), offset: z.int().positive() })).min(1),
  })),
});

test('the table is as its schema says', () => {
  expect(knownBuilds()).toEqual(tableSchema.parse(JSON.parse(readFileSync(KNOWN_BUILDS_FILE, 'utf8'))).builds);
});

/** Of a file only this is asked. */
function fileWith(buildId: string | null, codeEnd: number): ElfView {
  const code = [{ offset: 0, length: codeEnd }];
  return { buildId, code } as unknown as ElfView;
}

test('each build is there once, with both directions and exits before entries', () => {
  const builds = knownBuilds();
  expect(builds.length).toBeGreaterThan(0);
  expect(new Set(builds.map(({ buildId }) => buildId)).size).toBe(builds.length);
  for (const { of, probes } of builds) {
    const programs = probes.map(({ program }) => program);
    expect(programs.some((program) => /read|open/.test(program)), of).toBe(true);
    expect(programs.some((program) => /write|seal/.test(program)), of).toBe(true);
    for (const exit of programs.filter((program) => program.endsWith('_exit'))) {
      expect(programs.indexOf(exit), `${of}: ${exit}`).toBeLessThan(programs.indexOf(exit.replace('_exit', '_enter') as typeof exit));
    }
  }
});

test('a build is found by its id, if its places are code', () => {
  const [build] = knownBuilds();
  if (build === undefined) throw new Error('the table is empty');
  const end = Math.max(...build.probes.map(({ offset }) => offset)) + 1;
  expect(knownBuild(fileWith(build.buildId, end))).toEqual({
    kind: 'found', method: 'build-id', library: build.library, functions: build.functions, probes: build.probes,
  });
  expect(knownBuild(fileWith(build.buildId, end - 1))).toBeNull();
  expect(knownBuild(fileWith(null, end))).toBeNull();
  expect(knownBuild(fileWith('00000000', end))).toBeNull();
});
