/**
 * How long `trace` without a hub takes until it is ready, which is when the
 * launched command starts: the command is `date`, and says when that was.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { CLI } from '../helpers/files.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';

const RUNS = 7;
const ARGS = [CLI, 'trace', '--no-hub', '-q', '--', 'date', '+%s%N'];

export const startBench: Bench = { name: 'start', about: `time until trace --no-hub is ready, ${RUNS} runs`, run };

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const ready: number[] = [];
  const whole: number[] = [];
  const bare: number[] = [];
  for (let number = 1; number <= RUNS; number++) {
    const bareMs = timeOf(() => execFileSync(process.execPath, ['-e', '0']));
    const startNs = BigInt(Date.now()) * 1_000_000n;
    let output = '';
    const wholeMs = timeOf(() => { output = launchDate(); });
    const readyMs = Number(BigInt(output.trim()) - startNs) / 1e6;
    context.note(`run ${number}: ready after ${readyMs.toFixed(0)} ms, ended after ${wholeMs.toFixed(0)} ms, node alone ${bareMs.toFixed(0)} ms`);
    ready.push(readyMs);
    whole.push(wholeMs);
    bare.push(bareMs);
  }
  const floor = { value: median(bare) / 1000, what: '`node -e 0`' };
  return [
    {
      bench: 'start', name: 'ready', unit: 's', target: { kind: 'at most', value: 0.6 }, value: median(ready) / 1000, floor,
      method: `median of ${RUNS} runs; from spawn until the launched \`date\` reads the clock, to a millisecond`,
    },
    {
      bench: 'start', name: 'start to end', unit: 's', target: null, value: median(whole) / 1000, floor,
      method: `median of ${RUNS} runs; from spawn to exit of the same`,
    },
  ];
}

function launchDate(): string {
  const result = spawnSync(process.execPath, ARGS, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`trace ended with ${result.status ?? result.signal}:\n${result.stderr}`);
  return result.stdout;
}

function timeOf(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
