/**
 * The whole chain: `trace --no-hub -q -o FILE -- flood`, from the BPF program
 * through decoder, analyzers and redaction to the JSONL file, in the process that
 * users run. Its CPU time is read inside it, over all of its threads; what a run
 * with an empty flood uses (start, load, end) is taken off. The file lies in
 * memory where the machine has a tmpfs, so that its disk is not in the figure.
 */
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { memoryFolder } from './memory-folder.ts';
import { CHUNK_BYTES } from './ring.ts';
import { readReport, runBareNode, runTrace, type CollectorUsage } from './run-program.ts';

const COUNT = 500_000;
const RUNS = 3;
/** Fast enough to keep the collector busy, slow enough that it is not the ring that is measured. */
const PER_SECOND = 100_000;
const MIB = 1024 * 1024;

export const chainBench: Bench = {
  name: 'chain',
  about: `BPF to JSONL with redaction, ${COUNT.toLocaleString('en')} stdio events of 256 B at ${PER_SECOND.toLocaleString('en')}/s, ${RUNS} runs`,
  run,
};

interface ChainRun {
  readonly usage: CollectorUsage;
  readonly lines: number;
  readonly fileBytes: number;
  readonly perSecond: number;
}

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(memoryFolder(), 'agentsight-bench-'));
  try {
    return await runIn(directory, context);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runIn(directory: string, context: BenchContext): Promise<readonly Figure[]> {
  const flood = context.compile('flood');
  const idle: number[] = [];
  const runs: ChainRun[] = [];
  for (let number = 1; number <= RUNS; number++) {
    idle.push((await traceFlood(flood, { count: 0, directory })).usage.cpuUs);
    const measured = await traceFlood(flood, { count: COUNT, directory });
    context.note(`run ${number}: ${measured.lines.toLocaleString('en')} events in the file, peak RSS ${Math.round(measured.usage.peakRssBytes / MIB)} MiB`);
    runs.push(measured);
  }
  const bare = await runBareNode(directory);
  return figuresOf(runs, { idleUs: median(idle), bareRssBytes: bare.peakRssBytes });
}

function figuresOf(runs: readonly ChainRun[], { idleUs, bareRssBytes }: { readonly idleUs: number; readonly bareRssBytes: number }): Figure[] {
  const eventUs = median(runs.map(({ usage, lines }) => (usage.cpuUs - idleUs) / Math.max(lines, 1)));
  const lineBytes = median(runs.map(({ fileBytes, lines }) => fileBytes / Math.max(lines, 1)));
  return [
    {
      bench: 'chain', name: 'CPU per event', unit: 'µs', target: { kind: 'at most', value: 4 }, value: eventUs,
      floor: { value: stringifyFloor(Math.round(lineBytes)), what: `JSON.stringify and UTF-8 of one ${Math.round(lineBytes)} B event` },
      method: `median of ${RUNS} runs; user and system time of all threads, less ${Math.round(idleUs / 1000)} ms of an empty run`,
    },
    {
      bench: 'chain', name: 'events lost', unit: '', target: { kind: 'at most', value: 0 }, floor: null,
      value: runs.reduce((sum, { lines }) => sum + COUNT - lines, 0),
      method: 'writes of the flood minus its lines in the files, all runs together',
    },
    {
      bench: 'chain', name: 'peak RSS of the collector', unit: 'MB', target: { kind: 'at most', value: 150 },
      value: Math.max(...runs.map(({ usage }) => usage.peakRssBytes)) / 1e6,
      floor: { value: bareRssBytes / 1e6, what: 'the same of `node -e 0`' },
      method: `VmHWM at the end of the largest of ${RUNS} runs; the flood kept ${Math.round(median(runs.map((one) => one.perSecond))).toLocaleString('en')} events/s`,
    },
  ];
}

async function traceFlood(flood: string, { count, directory }: { count: number; directory: string }): Promise<ChainRun> {
  const file = join(directory, 'chain.jsonl');
  const report = join(directory, 'flood.json');
  rmSync(file, { force: true });
  const args = ['--no-hub', '-q', '-o', file, '--', flood, String(count), String(CHUNK_BYTES), String(PER_SECOND), report];
  const usage = await runTrace(args, directory);
  const { wallNs } = readReport(report);
  return { usage, lines: await countStdioLines(file), fileBytes: statSync(file).size, perSecond: count / (wallNs / 1e9) };
}

async function countStdioLines(file: string): Promise<number> {
  const mark = '"source":"stdio"';
  let found = 0;
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: MIB })) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.includes(mark)) found += 1;
  }
  return found;
}

/** Microseconds for turning one object of about that size into bytes: what JSONL costs with nothing before it. */
function stringifyFloor(lineBytes: number): number {
  const event = {
    timestamp: 1, source: 'stdio', pid: 1, comm: 'flood', id: 'host.boot.collector.1', process: 'host.boot.start.1', session: 'host.boot.start.1',
    data: { direction: 'write', len: 1, total: 1, offset: 0, fd: 1, role: 'stdout', target: '/dev/null', payload: '' },
  };
  event.data.payload = 'x'.repeat(Math.max(0, lineBytes - JSON.stringify(event).length));
  const rounds = 200_000;
  const cpu = process.cpuUsage();
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    event.timestamp = round;
    bytes += Buffer.from(`${JSON.stringify(event)}\n`).length;
  }
  const used = process.cpuUsage(cpu);
  if (bytes < rounds) throw new Error('nothing was written');
  return (used.user + used.system) / rounds;
}
