/**
 * `npm run bench [-- [--quick] NAME…]`: measures what the program promises and prints each
 * figure with its method, its target and its ratio to a floor measured in the
 * same run. Exit code 1 when a target was missed.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { programPath, tempDir } from '../helpers/files.ts';
import { figureLines, isReached, summaryTable, type Bench, type BenchContext, type Figure } from './figure.ts';

/**
 * Loaded one by one, when they run: what a browser driver keeps in the heap made
 * each garbage collection, and so each record of `ring`, cost twice as much.
 */
const benches: ReadonlyMap<string, () => Promise<Bench>> = new Map([
  ['ring', async () => (await import('./ring.ts')).ringBench],
  ['chain', async () => (await import('./chain.ts')).chainBench],
  ['http1', async () => (await import('./http1.ts')).http1Bench],
  ['sse', async () => (await import('./sse.ts')).sseBench],
  ['redact', async () => (await import('./redact.ts')).redactBench],
  ['http2', async () => (await import('./http2.ts')).http2Bench],
  ['tls', async () => (await import('./tls.ts')).tlsBench],
  ['sources', async () => (await import('./sources.ts')).sourcesBench],
  ['flood', async () => (await import('./flood.ts')).floodBench],
  ['attach', async () => (await import('./attach.ts')).attachBench],
  ['first-bytes', async () => (await import('./first-bytes.ts')).firstBytesBench],
  ['locate', async () => (await import('./locate.ts')).locateBench],
  ['server', async () => (await import('./server.ts')).serverBench],
  ['build', async () => (await import('./build.ts')).buildBench],
  ['start', async () => (await import('./start.ts')).startBench],
  ['store', async () => (await import('./store.ts')).storeBench],
  ['page', async () => (await import('./page.ts')).pageBench],
]);

/** Shows that a bench works, with figures that say little. */
const QUICK = '--quick';
const QUICK_SHARE = 10;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const quick = args.includes(QUICK);
  const names = args.filter((arg) => arg !== QUICK);
  const unknown = names.filter((name) => !benches.has(name));
  if (unknown.length > 0) {
    const all = await Promise.all([...benches.values()].map((load) => load()));
    print('usage: npm run bench [-- [--quick] NAME…]', ...all.map(({ name, about }) => `  ${name.padEnd(12)}${about}`));
    return names.includes('--help') ? 0 : 2;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write('bench: loads BPF programs, so it needs root\n');
    return 3;
  }
  const figures: Figure[] = [];
  const failed: string[] = [];
  for (const [name, load] of benches) {
    if (names.length > 0 && !names.includes(name)) continue;
    const bench = await load();
    print(`${bench.name}: ${bench.about}`);
    try {
      const measured = await measure(bench, quick);
      figures.push(...measured);
      print(...measured.flatMap(figureLines), '');
    } catch (error) {
      failed.push(bench.name);
      print(`  FAILED: ${error instanceof Error ? error.message : String(error)}`, '');
    }
  }
  print(summaryTable(figures), ...failed.map((name) => `${name}: FAILED`));
  return failed.length === 0 && figures.every(isReached) ? 0 : 1;
}

async function measure(bench: Bench, quick: boolean): Promise<readonly Figure[]> {
  const dir = tempDir();
  try {
    return await bench.run(contextFor(dir.path, quick));
  } finally {
    dir.remove();
  }
}

function contextFor(directory: string, quick: boolean): BenchContext {
  return {
    directory,
    compile(name, libraries = []) {
      const program = join(directory, name);
      execFileSync('cc', ['-O2', '-o', program, programPath(`${name}.c`), ...libraries]);
      return program;
    },
    rounds: (usual) => (quick ? Math.ceil(usual / QUICK_SHARE) : usual),
    note: (text) => process.stderr.write(`  ${text}\n`),
  };
}

function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
