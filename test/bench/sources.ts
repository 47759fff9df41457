/**
 * What tracing costs per operation of each source: a process from fork to exit, a
 * write to standard output, a file opened, written and closed, a failed open, a
 * connection made and ended. Alone, with every hook in place while nobody is
 * traced, and traced, in turn.
 */
import { join } from 'node:path';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { hookEverything } from './hooks.ts';
import { readReport, runProgram, runTrace } from './run-program.ts';

const RUNS = 5;

interface Operation {
  readonly kind: string;
  readonly what: string;
  readonly count: number;
}

const OPERATIONS: readonly Operation[] = [
  { kind: 'process', what: 'a process: fork, exec, exit', count: 500 },
  { kind: 'stdio', what: 'a write of 64 B to standard output', count: 100_000 },
  { kind: 'file', what: 'a file: open, write, close', count: 50_000 },
  { kind: 'open', what: 'an open that fails', count: 50_000 },
  { kind: 'connect', what: 'a connection: connect, accept, two closes', count: 10_000 },
];

export const sourcesBench: Bench = {
  name: 'sources',
  about: `cost per operation of processes, stdio, files and connections, ${RUNS} runs in turn: alone, hooks only, traced`,
  run,
};

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const program = context.compile('operations');
  const figures: Figure[] = [];
  for (const operation of OPERATIONS) figures.push(...(await measure(operation, program, context)));
  return figures;
}

async function measure({ kind, what, count: usual }: Operation, program: string, context: BenchContext): Promise<readonly Figure[]> {
  const { directory } = context;
  const report = join(directory, 'operations.json');
  const runs = context.rounds(RUNS);
  const count = context.rounds(usual);
  const args = [kind, String(count), report, directory];
  const cpuUs = (): number => readReport(report).cpuNs / 1000 / count;
  const bare: number[] = [];
  const hooked: number[] = [];
  const traced: number[] = [];
  const collector: number[] = [];
  for (let number = 1; number <= runs; number++) {
    await runProgram(program, args);
    const alone = cpuUs();
    const unhook = await hookEverything();
    await runProgram(program, args).finally(unhook);
    hooked.push(cpuUs() - alone);
    const idle = await traceInto(directory, [program, kind, '0', report, directory]);
    const used = await traceInto(directory, [program, ...args]);
    traced.push(cpuUs() - alone);
    bare.push(alone);
    collector.push((used - idle) / count);
    context.note(`${kind} ${number}: ${alone.toFixed(2)} µs alone, ${hooked.at(-1)?.toFixed(2)} more with hooks, ${traced.at(-1)?.toFixed(2)} more traced, collector ${collector.at(-1)?.toFixed(2)}`);
  }
  const method = `median of ${runs} runs of ${count.toLocaleString('en')}; CPU time of the program and its children; ${median(hooked).toFixed(2)} µs of it are hooks alone`;
  return [
    { bench: 'sources', name: `${what}: extra time`, unit: 'µs', target: null, value: median(traced), floor: { value: median(bare), what: 'the same untraced' }, method },
    {
      bench: 'sources', name: `${what}: the collector`, unit: 'µs', target: null, value: median(collector), floor: null,
      method: 'CPU time of the collector from BPF to the JSONL file, less that of a run without operations',
    },
  ];
}

/** Microseconds of the collector. */
async function traceInto(directory: string, command: readonly string[]): Promise<number> {
  return (await runTrace(['--no-hub', '-q', '-o', join(directory, 'operations.jsonl'), '--', ...command], directory)).cpuUs;
}
