/**
 * What tracing costs a build: `make` of a small C project, whose shells,
 * compiler stages and links are some 500 processes. Alone, with every hook in
 * place while nobody is traced, and traced, in turn.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { hookEverything } from './hooks.ts';
import { memoryFolder } from './memory-folder.ts';
import { runTrace } from './run-program.ts';

const ROUNDS = 5;
/** Each: a shell, the compiler's driver, the compiler proper, the assembler, and a shell that notes it. */
const SOURCES = 96;
const PERCENT = 100;
const NS_PER_MS = 1e6;

export const buildBench: Bench = {
  name: 'build',
  about: `make of ${SOURCES} C files, about 500 processes, one job at a time, ${ROUNDS} rounds in turn: alone, hooks only, traced`,
  run,
};

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

interface Round {
  readonly alone: Cost;
  readonly hooked: Cost;
  readonly traced: Cost;
  readonly collectorMs: number;
}

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(memoryFolder(), 'agentsight-bench-'));
  try {
    writeProject(directory, context.rounds(SOURCES));
    const processes = await countProcesses(directory);
    const rounds: Round[] = [];
    for (let number = 1; number <= context.rounds(ROUNDS); number++) {
      const alone = await make(directory);
      const unhook = await hookEverything();
      const hooked = await make(directory).finally(unhook);
      const { traced, collectorMs } = await makeTraced(directory);
      context.note(`round ${number}: ${text(alone)} alone, ${text(hooked)} with hooks, ${text(traced)} traced and ${Math.round(collectorMs)} ms of the collector`);
      rounds.push({ alone, hooked, traced, collectorMs });
    }
    return figuresOf(rounds, processes);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function text({ wallMs, cpuMs }: Cost): string {
  return `${Math.round(wallMs)} ms (CPU ${Math.round(cpuMs)} ms)`;
}

function figuresOf(rounds: readonly Round[], processes: number): readonly Figure[] {
  const more = (of: (round: Round) => Cost, unit: keyof Cost): number => median(rounds.map((round) => (of(round)[unit] / round.alone[unit] - 1) * PERCENT));
  const method = `median of ${rounds.length} rounds, each against make alone in its round; ${processes} processes`;
  return [
    {
      bench: 'build', name: 'wall time', unit: '% more', target: { kind: 'at most', value: 3 }, value: more(({ traced }) => traced, 'wallMs'),
      floor: { value: more(({ hooked }) => hooked, 'wallMs'), what: 'every hook in place, nobody traced' },
      method: `${method}; from the start of make to its end`,
    },
    {
      bench: 'build', name: 'CPU time of the build', unit: '% more', target: null, value: more(({ traced }) => traced, 'cpuMs'),
      floor: { value: more(({ hooked }) => hooked, 'cpuMs'), what: 'every hook in place, nobody traced' }, method,
    },
    {
      bench: 'build', name: 'CPU time of the collector', unit: '% of the build', target: null, floor: null,
      value: median(rounds.map(({ collectorMs, alone }) => (collectorMs / alone.cpuMs) * PERCENT)),
      method: `${method}; less that of a trace of nothing`,
    },
  ];
}

/** Headers that take the compiler a few milliseconds, as a real file's do. */
function writeProject(directory: string, sources: number): void {
  mkdirSync(join(directory, 'src'));
  const names = Array.from({ length: sources }, (_, number) => `unit${number}`);
  for (const name of names) {
    writeFileSync(join(directory, 'src', `${name}.c`), `#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint ${name}(int n)\n{\n\tchar text[64];\n\n\tsnprintf(text, sizeof(text), "%d", n);\n\treturn strlen(text) + atoi(text);\n}\n`);
  }
  writeFileSync(join(directory, 'src/main.c'), `${names.map((name) => `int ${name}(int);`).join('\n')}\nint main(void)\n{\n\treturn ${names.map((name) => `${name}(1)`).join(' + ')} < 0;\n}\n`);
  // The braces make a shell of each line; the compiler is asked for all of its stages.
  writeFileSync(join(directory, 'Makefile'), [
    `OBJECTS = ${[...names, 'main'].map((name) => `out/${name}.o`).join(' ')}`,
    'out/program: $(OBJECTS)\n\t@cc -o $@ $(OBJECTS)',
    'out/%.o: src/%.c\n\t@mkdir -p out; { cc -O1 -no-integrated-cpp -c -o $@ $<; }; test -s $@',
    '',
  ].join('\n'));
}

/** From the start of `make` to its end, told by the shell around it: the start of a trace is not the build's matter. */
const LINE = 'rm -rf out && exec 3>build.times && date +%s%N >&3 && make -s && date +%s%N >&3 && times >&3';

function readCost(directory: string): Cost {
  const [start, end, , below] = readFileSync(join(directory, 'build.times'), 'latin1').split('\n');
  const parts = [...(below ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new Error('the shell did not tell its times');
  const cpuMs = parts.reduce((sum, [, minutes, seconds]) => sum + (Number(minutes) * 60 + Number(seconds)) * 1000, 0);
  return { wallMs: Number(BigInt(end ?? 0) - BigInt(start ?? 0)) / NS_PER_MS, cpuMs };
}

async function make(directory: string): Promise<Cost> {
  const child = spawn('sh', ['-c', LINE], { cwd: directory, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`make ended with ${code}`);
  return readCost(directory);
}

async function makeTraced(directory: string): Promise<Pick<Round, 'traced' | 'collectorMs'>> {
  const args = (line: string): readonly string[] => ['--no-hub', '-q', '-o', join(directory, 'build.jsonl'), '--', 'sh', '-c', `cd ${directory} && ${line}`];
  const idle = await runTrace(args('true'), directory);
  const used = await runTrace(args(LINE), directory);
  return { traced: readCost(directory), collectorMs: (used.cpuUs - idle.cpuUs) / 1000 };
}

/** As the kernel counts them: one more fork each. */
async function countProcesses(directory: string): Promise<number> {
  const forks = (): number => Number(/^processes (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1]);
  const before = forks();
  await make(directory);
  return forks() - before;
}
