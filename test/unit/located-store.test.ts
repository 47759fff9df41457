/** What was found in a program is kept from run to run, and forgotten when the program is another. */
import { appendFileSync, chmodSync, copyFileSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readElfView, type ElfView } from '../../src/runners/locate/elf.ts';
import { createLocatedStore, type Kept } from '../../src/runners/locate/located-store.ts';
import { openReader } from '../../src/runners/locate/reader.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';

const KEPT: Kept = { plan: { kind: 'unsupported', library: 'openssl', reason: 'of the test' }, steps: [{ step: 'locator', outcome: 'of the test' }] };

let folder: TempDir;
let program: string;
beforeEach(() => {
  folder = tempDir();
  program = folder.file('program');
  copyFileSync('/bin/true', program);
});
afterEach(() => folder.remove());

/** The program as it is now, with its build id or as though the linker had given it none. */
function withProgram<T>(hasBuildId: boolean, use: (elf: ElfView) => T): T {
  const reader = openReader(program);
  try {
    const elf = readElfView(reader);
    if (elf === null) throw new Error('/bin/true is no program');
    return use(hasBuildId ? elf : { ...elf, buildId: null });
  } finally {
    reader.close();
  }
}

const put = (hasBuildId: boolean): void => withProgram(hasBuildId, (elf) => createLocatedStore(folder.file('kept')).put(elf, elf.reader, KEPT));
const get = (hasBuildId: boolean): Kept | null => withProgram(hasBuildId, (elf) => createLocatedStore(folder.file('kept')).get(elf, elf.reader));

describe.each([[true, 'with a build id'], [false, 'without a build id']])('of a program %s: %s', (hasBuildId) => {
  test('it is there in the next run, and says so', () => {
    expect(get(hasBuildId)).toBeNull();
    put(hasBuildId);
    expect(get(hasBuildId)?.plan).toEqual(KEPT.plan);
    expect(get(hasBuildId)?.steps).toEqual([{ step: 'locator', outcome: 'of the test (kept from an earlier search)' }]);
  });

  test('it is not believed when others may write it', () => {
    put(hasBuildId);
    const [name = ''] = readdirSync(folder.file('kept'));
    chmodSync(folder.file(`kept/${name}`), 0o666);
    expect(get(hasBuildId)).toBeNull();
  });

  test('it is another file when it has grown', () => {
    put(hasBuildId);
    appendFileSync(program, 'more');
    expect(get(hasBuildId)).toBeNull();
  });
});

test('without a build id, a copy or a change that hides behind the old time is another file', () => {
  put(false);
  const { atime, mtime } = statSync(program);
  utimesSync(program, atime, mtime);
  expect(get(false)).toBeNull();
  put(false);
  copyFileSync(program, folder.file('copy'));
  program = folder.file('copy');
  expect(get(false)).toBeNull();
});
