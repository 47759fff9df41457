/**
 * What tracing costs an HTTPS server under full load: requests a second alone,
 * with every hook in place while nobody is traced, and traced, in turn. The
 * client has a libssl of its own, as one on another machine has, but shares
 * these cores: what the collector uses is taken from the server.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../helpers/files.ts';
import { cpuUs, descendantsCpuUs } from './cpu-time.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { hookEverything } from './hooks.ts';
import { memoryFolder } from './memory-folder.ts';
import { isUp, load, nginxServer, nodeServer, prepareLoad, stopServer, type Load, type LoadServer } from './server-load.ts';

const ROUNDS = 3;
const SECONDS = 4;
const PERCENT = 100;

export const serverBench: Bench = {
  name: 'server',
  about: `throughput of nginx and node with HTTPS, replies of 1 KiB and kept connections, ${ROUNDS} rounds of ${SECONDS} s in turn: alone, hooks only, traced`,
  run,
};

/** CPU time per request, in microseconds, of those that share the machine. */
interface Measured extends Load {
  readonly serverUs: number;
  readonly collectorUs: number;
}

interface Round {
  readonly alone: Measured;
  readonly hooked: Measured;
  readonly traced: Measured & { readonly exchanges: number };
}

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(memoryFolder(), 'agentsight-bench-'));
  try {
    prepareLoad(directory);
    const figures: Figure[] = [];
    for (const make of [nginxServer, nodeServer]) figures.push(...(await measure(await make(directory), { context, directory })));
    return figures;
  } finally {
    stopServer(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Place {
  readonly context: BenchContext;
  readonly directory: string;
}

async function measure(server: LoadServer, { context, directory }: Place): Promise<readonly Figure[]> {
  const rounds: Round[] = [];
  for (let number = 1; number <= context.rounds(ROUNDS); number++) {
    const alone = await loadCommand(server, server.command, { directory, isTraced: false });
    const unhook = await hookEverything([server.tlsFile]);
    const hooked = await loadCommand(server, server.command, { directory, isTraced: false }).finally(unhook);
    const traced = await loadTraced(server, directory);
    context.note(`${server.name} ${number}: ${text(alone)} alone, ${text(hooked)} with hooks, ${text(traced)} traced, ${traced.exchanges} of ${traced.requests} exchanges`);
    rounds.push({ alone, hooked, traced });
  }
  return figuresOf(server.name, rounds);
}

function text({ perSecond, serverUs, collectorUs, clientUs }: Measured): string {
  return `${Math.round(perSecond).toLocaleString('en')}/s (µs: server ${serverUs.toFixed(1)}, collector ${collectorUs.toFixed(1)}, client ${clientUs.toFixed(1)})`;
}

function totalUs({ serverUs, collectorUs, clientUs }: Measured): number {
  return serverUs + collectorUs + clientUs;
}

function figuresOf(name: string, rounds: readonly Round[]): readonly Figure[] {
  const lost = (of: (round: Round) => Measured): number => median(rounds.map((round) => (1 - of(round).perSecond / round.alone.perSecond) * PERCENT));
  const more = (of: (round: Round) => Measured): number => median(rounds.map((round) => totalUs(of(round)) - totalUs(round.alone)));
  const method = `median of ${rounds.length} rounds of ${SECONDS} s, each against the server alone in its round`;
  return [
    { bench: 'server', name: `${name}: requests a second, alone`, unit: '/s', target: null, value: median(rounds.map(({ alone }) => alone.perSecond)), floor: null, method },
    {
      bench: 'server', name: `${name}: throughput lost, traced`, unit: '%', target: { kind: 'at most', value: 10 }, value: lost(({ traced }) => traced),
      floor: { value: lost(({ hooked }) => hooked), what: 'every hook in place, nobody traced' }, method,
    },
    {
      bench: 'server', name: `${name}: more CPU per request, traced`, unit: 'µs', target: null, value: more(({ traced }) => traced),
      floor: { value: more(({ hooked }) => hooked), what: `every hook in place, nobody traced; alone it is ${median(rounds.map(({ alone }) => totalUs(alone))).toFixed(1)} µs` },
      method: 'user and system time of server, client and collector while the load ran',
    },
    {
      bench: 'server', name: `${name}: of it, the collector`, unit: 'µs', target: null, floor: null,
      value: median(rounds.map(({ traced }) => traced.collectorUs)), method: 'the same, of the collector alone',
    },
    {
      bench: 'server', name: `${name}: exchanges captured`, unit: '%', target: null, floor: null,
      value: median(rounds.map(({ traced }) => (traced.exchanges / traced.requests) * PERCENT)),
      method: 'http events in the file, of the requests that the client counted',
    },
  ];
}

/** `command` is the server itself, or the collector that starts it. */
async function loadCommand(server: LoadServer, command: readonly [string, ...string[]], { directory, isTraced }: { directory: string; isTraced: boolean }): Promise<Measured> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'close');
  try {
    await isUp(server);
    const { pid = 0 } = child;
    const before = { own: cpuUs(pid), below: descendantsCpuUs(pid) };
    const measured = await load(directory, server.port, SECONDS);
    const ownUs = (cpuUs(pid) - before.own) / measured.requests;
    const belowUs = (descendantsCpuUs(pid) - before.below) / measured.requests;
    return { ...measured, serverUs: isTraced ? belowUs : ownUs + belowUs, collectorUs: isTraced ? ownUs : 0 };
  } finally {
    stopServer(directory);
    await ended;
  }
}

async function loadTraced(server: LoadServer, directory: string): Promise<Round['traced']> {
  const file = join(directory, 'server.jsonl');
  rmSync(file, { force: true });
  const trace = [join(ROOT, 'bin/agentsight-ts.mjs'), 'trace', '--no-hub', '-q', '-o', file, '--', ...server.command];
  const measured = await loadCommand(server, [process.execPath, ...trace], { directory, isTraced: true });
  return { ...measured, exchanges: await countExchanges(file) };
}

async function countExchanges(file: string): Promise<number> {
  const mark = '"source":"http"';
  let found = 0;
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.slice(0, 200).includes(mark)) found += 1;
  }
  return found;
}
