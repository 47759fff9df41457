/** What it takes to search the largest programs at hand for their TLS libraries, with nothing of them in memory. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { agentProgram, fetchAgents } from '../../src/setup/agents.mjs';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import type { SearchCost } from './locate-search.ts';

const RUNS = 5;
const PROGRAMS = ['codex', 'claude', 'deno'] as const;
const SEARCH = fileURLToPath(new URL('./locate-search.js', import.meta.url));
const MIB = 1024 * 1024;

export const locateBench: Bench = { name: 'locate', about: `search of stripped programs for TLS libraries, cold, ${RUNS} runs each`, run };

async function run(context: BenchContext): Promise<readonly Figure[]> {
  await fetchAgents();
  return PROGRAMS.flatMap((name) => measure(name, context));
}

function measure(name: (typeof PROGRAMS)[number], context: BenchContext): Figure[] {
  const path = agentProgram(name);
  const costs: SearchCost[] = [];
  const reads: number[] = [];
  for (let number = 1; number <= RUNS; number++) {
    forget(path);
    const started = performance.now();
    execFileSync('dd', [`if=${path}`, 'of=/dev/null', 'bs=1M'], { stdio: 'ignore' });
    reads.push(performance.now() - started);
    forget(path);
    const cost = JSON.parse(execFileSync(process.execPath, [SEARCH, path], { encoding: 'utf8' })) as SearchCost;
    if (cost.found.length === 0) throw new Error(`nothing was found in ${path}`);
    context.note(`${name}, run ${number}: ${cost.wallMs.toFixed(0)} ms, ${cost.cpuMs.toFixed(0)} ms of CPU; found ${cost.found.join(', ')}`);
    costs.push(cost);
  }
  const method = `median of ${RUNS} runs, each in a process of its own, with the file's pages dropped from memory before`;
  const floor = { value: median(reads) / 1000, what: '`dd` reads the whole file, cold' };
  return [
    {
      bench: 'locate', name: `${name}, wall`, unit: 's', target: { kind: 'at most', value: 1 }, value: median(costs.map(({ wallMs }) => wallMs)) / 1000, floor, method,
    },
    { bench: 'locate', name: `${name}, CPU`, unit: 's', target: null, value: median(costs.map(({ cpuMs }) => cpuMs)) / 1000, floor: null, method },
    {
      bench: 'locate', name: `${name}, memory`, unit: 'MiB', target: { kind: 'at most', value: 60 }, floor: null,
      value: Math.max(...costs.map(({ extraBytes }) => extraBytes)) / MIB,
      method: `the most of ${RUNS} runs: peak resident size less that before the search, garbage and machine code of our own included`,
    },
  ];
}

/** Drops the file's pages. */
function forget(path: string): void {
  execFileSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
}
