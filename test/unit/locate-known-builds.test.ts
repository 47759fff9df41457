/** The table of known builds is as its schema says, and is used where it fits and nowhere else. */
import { expect, test } from 'vitest';
import type { ElfView } from '../../src/runners/locate/elf.ts';
import { knownBuild, knownBuilds } from '../../src/runners/locate/known-builds.ts';

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
