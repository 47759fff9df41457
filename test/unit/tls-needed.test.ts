/** Where the libraries of a program are: what ld.so(8) says of RPATH, RUNPATH, LD_LIBRARY_PATH and $ORIGIN. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ElfInfo } from '../../src/addon.ts';
import { AgentsightError } from '../../src/errors.ts';
import { broughtFiles, neededFiles } from '../../src/runners/tls-needed.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';

let dir: TempDir;
let elves: Map<string, ElfInfo>;
beforeEach(() => {
  dir = tempDir();
  elves = new Map();
});
afterEach(() => dir.remove());

/** A file that says it asks for these. */
function file(name: string, asks: Partial<ElfInfo> = {}): string {
  const path = dir.file(name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  elves.set(path, { buildId: null, needed: [], rpath: null, runpath: null, symbols: [], ...asks });
  return path;
}

function readElf(path: string): ElfInfo {
  const elf = elves.get(path);
  if (elf === undefined) throw new AgentsightError('CAPTURE_UNREADABLE', `could not read ${path}: not an ELF file`);
  return elf;
}

const found = (program: string, libraryPath: string | null = null): readonly string[] | null => neededFiles(program, readElf, { cwd: dir.path, libraryPath });

test('beside the program, by RPATH and by RUNPATH, with and without braces', () => {
  const library = file('app/lib/libown.so');
  for (const [kind, text] of [['rpath', '$ORIGIN/lib'], ['runpath', '${ORIGIN}/lib'], ['runpath', `/nowhere:${dir.file('app/lib')}`]] as const) {
    const program = file('app/program', { needed: ['libown.so'], [kind]: text });
    expect(found(program), text).toEqual([program, library]);
  }
});

test('$ORIGIN of a link to the program is where the file itself is', () => {
  const program = file('app/program', { needed: ['libown.so'], runpath: '$ORIGIN/lib' });
  const library = file('app/lib/libown.so');
  symlinkSync(program, dir.file('link'));
  elves.set(dir.file('link'), readElf(program));
  expect(found(dir.file('link'))).toEqual([dir.file('link'), library]);
});

test('LD_LIBRARY_PATH goes before RUNPATH and after RPATH, its relative folders from the working directory', () => {
  const own = file('app/lib/libown.so');
  const other = file('other/libown.so');
  for (const libraryPath of [dir.file('other'), 'other', `/nowhere;${dir.file('other')}`]) {
    const late = file('app/late', { needed: ['libown.so'], runpath: '$ORIGIN/lib' });
    expect(found(late, libraryPath)).toEqual([late, other]);
    const early = file('app/early', { needed: ['libown.so'], rpath: '$ORIGIN/lib' });
    expect(found(early, libraryPath)).toEqual([early, own]);
  }
  const neither = file('app/neither', { needed: ['libown.so'] });
  expect(found(neither)).toEqual([neither]);
});

test('a program that changes its user does not look there', () => {
  file('other/libown.so');
  const program = file('app/program', { needed: ['libown.so'] });
  chmodSync(program, 0o4755);
  expect(found(program, dir.file('other'))).toEqual([program]);
});

test('RPATH counts for what a library asks for, too; RUNPATH for the file alone, and instead of RPATH', () => {
  const deep = file('app/lib/libdeep.so');
  const plain = file('app/lib/libplain.so', { needed: ['libdeep.so'] });
  const byRpath = file('app/rpath', { needed: ['libplain.so'], rpath: '$ORIGIN/lib' });
  expect(found(byRpath)).toEqual([byRpath, plain, deep]);
  const byRunpath = file('app/runpath', { needed: ['libplain.so'], runpath: '$ORIGIN/lib' });
  expect(found(byRunpath)).toEqual([byRunpath, plain]);
  const both = file('app/both', { needed: ['libplain.so'], rpath: '$ORIGIN/lib', runpath: '/nowhere' });
  expect(found(both)).toEqual([both]);
});

test('a name with a slash is a path; libraries that ask for each other are found once', () => {
  const second = dir.file('b/libsecond.so');
  const first = file('a/libfirst.so', { needed: [second] });
  file('b/libsecond.so', { needed: [first] });
  const program = file('program', { needed: [first] });
  expect(found(program)).toEqual([program, first, second]);
});

test('what is no program is none, and a path of nonsense leads nowhere', () => {
  writeFileSync(dir.file('text'), 'hello');
  expect(found(dir.file('text'))).toBeNull();
  const program = file('program', { needed: ['libown.so', ''], rpath: ':::$ORIGINAL:lib:', runpath: null });
  expect(found(program, ':::')).toEqual([program]);
});

test('those in the folders of the system are not brought along', () => {
  const library = file('lib/libown.so');
  const program = file('program', { needed: ['libown.so', 'libc.so.6'], runpath: '$ORIGIN/lib' });
  expect(found(program)).toHaveLength(3);
  expect(broughtFiles(program, readElf, { cwd: '/', libraryPath: null })).toEqual([library]);
});
