/** What was found in a program by searching it is used again for that very program, and for none that took its place. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { createLadder, type Found } from '../../src/runners/locate/ladder.ts';
import { createLocatedStore } from '../../src/runners/locate/located-store.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';

const FUNCTIONS = ['ssl_read_internal', 'ssl_write_internal'];

let folder: TempDir;
/** OpenSSL inside, stripped, in two builds, and where its functions are. */
const truth = new Map<string, (number | undefined)[]>();
beforeAll(() => {
  folder = tempDir();
  for (const [name, flag] of [['one', '-pie'], ['two', '-no-pie']] as const) {
    const path = folder.file(name);
    execFileSync('cc', ['-O2', '-w', flag, '-o', path, programPath('tls-client.c'), '-l:libssl.a', '-l:libcrypto.a'], { stdio: ['ignore', 'ignore', 'ignore'] });
    const { symbols } = loadAddon().readElf(path, FUNCTIONS);
    truth.set(name, FUNCTIONS.map((wanted) => symbols.find((symbol) => symbol.name === wanted)?.offset));
    execFileSync('strip', [path]);
  }
}, 60_000);
afterAll(() => folder.remove());

let kept: TempDir;
beforeEach(() => {
  kept = tempDir();
  copyFileSync(folder.file('one'), folder.file('program'));
  return () => kept.remove();
});

/** In a run of its own. */
async function locate(): Promise<Found & { readonly isKept: boolean; readonly counters: Readonly<Record<string, number>> }> {
  const ladder = createLadder({ readElf: loadAddon().readElf, store: createLocatedStore(kept.path) });
  const found = await ladder.locate(folder.file('program'));
  ladder.close();
  return { ...found, isKept: found.steps.some(({ outcome }) => outcome.endsWith('(kept from an earlier search)')), counters: ladder.counters() };
}

const places = ({ plan }: Found): number[] => (plan.kind === 'hook' ? [...new Set(plan.probes.map(({ offset }) => offset))] : []);

test('the next run has it without a search', async () => {
  const first = await locate();
  expect([first.isKept, places(first)]).toEqual([false, truth.get('one')]);
  const second = await locate();
  expect([second.isKept, places(second)]).toEqual([true, truth.get('one')]);
  expect(second.counters).toMatchObject({ kept_hits: 1, kept_refused: 0 });
});

test('another build at the same path is searched, and each has its own from then on', async () => {
  await locate();
  copyFileSync(folder.file('two'), folder.file('program'));
  const other = await locate();
  expect([other.isKept, places(other)]).toEqual([false, truth.get('two')]);
  copyFileSync(folder.file('one'), folder.file('program'));
  const again = await locate();
  expect([again.isKept, places(again)]).toEqual([true, truth.get('one')]);
});

test('code that is another one at the place is not hooked by what was kept, though build id and size are the same', async () => {
  await locate();
  const program = readFileSync(folder.file('program'));
  const [read = 0] = truth.get('one') ?? [];
  program.fill(0x90, read + 8, read + 16);
  writeFileSync(folder.file('program'), program);
  const changed = await locate();
  expect(changed.isKept).toBe(false);
  expect(changed.counters).toMatchObject({ kept_hits: 0, kept_refused: 1 });
});

test.each([
  ['cut', (text: string) => text.slice(0, text.length / 2)],
  ['empty', () => ''],
  ['of zeros, as a crash leaves it', (text: string) => '\0'.repeat(text.length)],
  ['with another offset', (text: string) => text.replace(/"offset":(\d+)/, (_, offset: string) => `"offset":${Number(offset) + 16}`)],
  ['of the right form with something else inside', (text: string) => text.replace(/"plan":\{.*\},"steps"/, '"plan":null,"steps"')],
])('a kept file that is %s is refused, and made anew', async (_what, spoil) => {
  await locate();
  const [name = ''] = readdirSync(kept.path);
  const text = readFileSync(kept.file(name), 'utf8');
  expect(spoil(text)).not.toBe(text);
  writeFileSync(kept.file(name), spoil(text));
  const refused = await locate();
  expect([refused.isKept, places(refused)]).toEqual([false, truth.get('one')]);
  expect(refused.counters).toMatchObject({ kept_refused: 1 });
  expect(readFileSync(kept.file(name), 'utf8')).toBe(text);
  expect(statSync(kept.file(name)).mode & 0o777).toBe(0o600);
  expect((await locate()).isKept).toBe(true);
});
