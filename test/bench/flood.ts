/**
 * 50,000 stdio events a second of 1 KiB for 30 seconds at the default ring size,
 * through the whole chain into a file in memory: nothing may be lost.
 */
import { createReadStream, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, BenchContext, Figure } from './figure.ts';
import { memoryFolder } from './memory-folder.ts';
import { readReport, runTrace } from './run-program.ts';

const PER_SECOND = 50_000;
const SECONDS = 30;
const SIZE_BYTES = 1024;
const NEWLINE = 0x0a;

export const floodBench: Bench = {
  name: 'flood',
  about: `${PER_SECOND.toLocaleString('en')} events/s of ${SIZE_BYTES} B for ${SECONDS} s at the default ring size: what is lost`,
  run,
};

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const count = PER_SECOND * context.rounds(SECONDS);
  const flood = context.compile('flood');
  const directory = mkdtempSync(join(memoryFolder(), 'agentsight-bench-'));
  try {
    const file = join(directory, 'flood.jsonl');
    const report = join(directory, 'flood.json');
    const args = (chunks: number): readonly string[] => ['--no-hub', '-q', '-o', file, '--', flood, String(chunks), String(SIZE_BYTES), String(PER_SECOND), report];
    await runTrace(args(0), directory);
    // What a trace of the empty flood tells is in both.
    const besides = await countLines(file);
    rmSync(file);
    const usage = await runTrace(args(count), directory);
    const wallSeconds = readReport(report).wallNs / 1e9;
    // It rotates at its size: all parts together.
    let lines = 0;
    for (const name of readdirSync(directory)) if (name.startsWith('flood.jsonl')) lines += await countLines(join(directory, name));
    return [
      {
        bench: 'flood', name: 'events lost', unit: '', target: { kind: 'at most', value: 0 }, value: Math.max(0, count + besides - lines), floor: null,
        method: `${count.toLocaleString('en')} writes of the flood minus its lines in the file, besides ${besides} of an empty flood`,
      },
      {
        bench: 'flood', name: 'events a second', unit: '/s', target: { kind: 'at least', value: PER_SECOND * 0.98 }, value: count / wallSeconds, floor: null,
        method: 'writes of the flood over its wall time: a machine too slow for the flood would make the first figure easy',
      },
      {
        bench: 'flood', name: 'processors used by the collector', unit: '', target: null, value: usage.cpuUs / 1e6 / wallSeconds, floor: null,
        method: 'user and system time of all its threads, with its start, over the wall time of the flood',
      },
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function countLines(file: string): Promise<number> {
  let lines = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const bytes = chunk as Buffer;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1;
  }
  return lines;
}
