/**
 * How long `trace` without a hub takes until it is ready, which is when the
 * launched command starts: the command is `date`, and says when that was. The
 * same of `npm start` in a checkout where everything is built: the look at what
 * is stale, the hub with its engine, and the trace.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { startScript } from '../helpers/cli.ts';
import { CLI, ROOT } from '../helpers/files.ts';
import { waitFor } from '../helpers/wait.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';

const RUNS = 7;
const ARGS = [CLI, 'trace', '--no-hub', '-q', '--', 'date', '+%s%N'];
const SET_UP_RUNS = 5;
/** As `npm start` alone traces its demo, with a command that tells the time instead. */
const SET_UP_ARGS = ['trace', '--serve', '--', 'date', '+%s%N'];

export const startBench: Bench = { name: 'start', about: `time until trace --no-hub is ready, ${RUNS} runs, and npm start, ${SET_UP_RUNS} runs`, run };

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const alone = runAlone(context);
  return [...alone, await runSetUp(context)];
}

function runAlone(context: BenchContext): Figure[] {
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

/** The first run is not counted: it may have to build. */
async function runSetUp(context: BenchContext): Promise<Figure> {
  const ready: number[] = [];
  for (let number = 0; number <= SET_UP_RUNS; number++) {
    const readyMs = await setUpAndLaunch(join(context.directory, `data-${number}`));
    context.note(`npm start ${number}: ready after ${readyMs.toFixed(0)} ms${number === 0 ? ', not counted' : ''}`);
    if (number > 0) ready.push(readyMs);
  }
  const bare = Array.from({ length: SET_UP_RUNS }, () => timeOf(() => execFileSync(process.execPath, ['-e', '0'])));
  return {
    bench: 'start', name: 'npm start, again', unit: 's', target: { kind: 'at most', value: 3 }, value: median(ready) / 1000,
    floor: { value: median(bare) / 1000, what: '`node -e 0`' },
    method: `median of ${SET_UP_RUNS} runs with nothing to build, each with a hub and a store of its own; from spawn of start.mjs until the launched \`date\` reads the clock`,
  };
}

async function setUpAndLaunch(dataDir: string): Promise<number> {
  const startMs = Date.now();
  const start = startScript(join(ROOT, 'src/setup/start.mjs'), SET_UP_ARGS, { env: { AGENTSIGHT_DATA_DIR: dataDir, AGENTSIGHT_PORT: '0' } });
  try {
    const launchedNs = await waitFor('the time of the launched date', () => {
      if (start.child.exitCode !== null) throw new Error(`start.mjs ended with ${start.child.exitCode}:\n${start.stderr()}`);
      return /^\d{19}$/m.exec(start.stdout())?.[0];
    });
    return Number(BigInt(launchedNs) - BigInt(startMs) * 1_000_000n) / 1e6;
  } finally {
    await start.interrupt();
  }
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
