/**
 * `npm run fuzz [-- [--for 1s|1m|1h] [--seed N] PARSER…]`: damaged inputs to each parser, a second each unless told how
 * long. The first that makes one throw, or pass a bound, is saved and named with its seed; exit code 1 then.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FUZZ_PARSERS, fuzzInput, fuzzOnce, type FuzzParser } from '../helpers/fuzz-parsers.ts';
import { generator } from '../helpers/random.ts';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

process.exitCode = main(process.argv.slice(2));

function main(args: readonly string[]): number {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { for: { type: 'string', default: '1s' }, seed: { type: 'string', default: '0' } } });
  const [, count = '', unit = 's'] = /^(\d+)([smh]?)$/.exec(values.for) ?? [];
  const durationMs = Number(count) * (UNITS_MS[unit] ?? 1000);
  const chosen = FUZZ_PARSERS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  if (durationMs === 0 || chosen.length < positionals.length || !/^\d+$/.test(values.seed)) {
    process.stdout.write(`usage: npm run fuzz [-- [--for 1s|1m|1h] [--seed N] PARSER…]\nparsers: ${FUZZ_PARSERS.map(({ name }) => name).join(' ')}\n`);
    return 2;
  }
  return chosen.map((parser) => fuzz(parser, Number(values.seed), durationMs)).every(Boolean) ? 0 : 1;
}

function fuzz(parser: FuzzParser, firstSeed: number, durationMs: number): boolean {
  const until = Date.now() + durationMs;
  let seed = firstSeed;
  for (; Date.now() < until; seed++) {
    try {
      fuzzOnce(parser, seed);
    } catch (error) {
      const file = join(tmpdir(), `fuzz-${parser.name}-${seed}`);
      writeFileSync(file, fuzzInput(parser, generator(seed)));
      process.stdout.write(`${parser.name}: FAILED with --seed ${seed}, its input is in ${file}: ${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
      return false;
    }
  }
  process.stdout.write(`${parser.name}: ${(seed - firstSeed).toLocaleString('en')} inputs, from seed ${firstSeed} on\n`);
  return true;
}
