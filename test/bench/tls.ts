/**
 * What tracing costs a program that speaks TLS, for each runtime: two
 * connections in one process, 4 KiB written on one side and read on the other,
 * alone and under `trace`, in turn.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Event } from '../../src/event.ts';
import { programPath } from '../helpers/files.ts';
import { buildGo } from '../helpers/go.ts';
import { buildRust } from '../helpers/rust.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { readReport, runProgram, runTrace } from './run-program.ts';
import { startEchoServer } from './tls-server.ts';

const ROUNDS = 50_000;
const SIZE_BYTES = 4096;
const RUNS = 5;
const CALLS_PER_ROUND = 2;
/** Of the run whose capture is counted. */
const CHECKED_ROUNDS = 200;
/** A library outside of the system's folders is hooked once a first process has mapped it. */
const HOOKING_S = 1;
const LIBRARY_FOLDER = '/usr/lib/x86_64-linux-gnu';
const BORINGSSL_FOLDER = `${LIBRARY_FOLDER}/android`;

export const tlsBench: Bench = {
  name: 'tls',
  about: `cost to traced programs of each TLS runtime, rounds of one write and one read of ${SIZE_BYTES} B, ${RUNS} runs`,
  run,
};

interface Runtime {
  readonly name: string;
  readonly rounds: number;
  readonly targetUs: number | null;
  /** Before the report's path. */
  command(rounds: number): readonly [string, ...string[]];
}

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const echo = await startEchoServer(context.directory);
  try {
    const figures: Figure[] = [];
    for (const runtime of await runtimes(context, echo.port)) {
      await expectCaptured(runtime, context);
      figures.push(await measure(runtime, context));
    }
    return figures;
  } finally {
    await echo.close();
  }
}

/**
 * Builds the programs. Each has a copy of the file that gets hooked: a hook in
 * the installed one, of whoever else traces at the time, would be paid alone too.
 */
async function runtimes(context: BenchContext, echoPort: number): Promise<readonly Runtime[]> {
  const { directory } = context;
  const certificate = [join(directory, 'cert.pem'), join(directory, 'key.pem')] as const;
  const rounds = context.rounds(ROUNDS);
  /** Over sockets or through an event loop: a round costs ten times as much. */
  const fewer = context.rounds(ROUNDS / 5);
  const openssl = (name: string, flags: readonly string[]): string => {
    const program = join(directory, name);
    execFileSync('cc', ['-O2', '-o', program, programPath('tlsloop.c'), ...flags], { stdio: 'ignore' });
    return program;
  };
  const loop = (program: string, more: readonly string[] = certificate): Runtime['command'] =>
    (count) => [program, String(count), String(SIZE_BYTES), ...more];
  const own = (library: string): string[] => [`-l:${basename(copyInto(directory, library))}`, `-L${directory}`, `-Wl,-rpath,${directory}`];
  const libssl = own(`${LIBRARY_FOLDER}/libssl.so.3`);
  const boringssl = [...own(`${BORINGSSL_FOLDER}/libssl.so.0`), `-L${BORINGSSL_FOLDER}`, '-l:libcrypto.so.0', `-Wl,-rpath,${BORINGSSL_FOLDER}`];
  const gnutls = own(`${LIBRARY_FOLDER}/libgnutls.so.30`);
  const nss = context.compile('nssloop', [...own(`${LIBRARY_FOLDER}/libnspr4.so`), '-l:libssl3.so', '-l:libnss3.so']);
  const node = copyInto(directory, process.execPath);
  return [
    { name: 'OpenSSL', rounds, targetUs: 2.5, command: loop(openssl('shared', [...libssl, '-l:libcrypto.so.3'])) },
    { name: 'OpenSSL, static', rounds, targetUs: 2.5, command: loop(openssl('static', ['-static', '-l:libssl.a', '-l:libcrypto.a'])) },
    { name: 'BoringSSL', rounds, targetUs: 2.5, command: loop(openssl('boring', boringssl)) },
    { name: 'GnuTLS', rounds: fewer, targetUs: null, command: loop(context.compile('gnutlsloop', gnutls), []) },
    { name: 'NSS', rounds: fewer, targetUs: null, command: (count) => [nss, String(echoPort), String(count), String(SIZE_BYTES)] },
    { name: 'rustls', rounds, targetUs: null, command: loop(await buildRust('rustls-loop')) },
    { name: 'Node', rounds: fewer, targetUs: null, command: (count) => [node, programPath('tlsloop.mjs'), String(count), String(SIZE_BYTES), ...certificate] },
    { name: 'Go', rounds: fewer, targetUs: null, command: loop(buildGo(directory, 'loop.go', { name: 'loop', flags: [] })) },
  ];
}

function copyInto(directory: string, file: string): string {
  const copy = join(directory, basename(file));
  copyFileSync(file, copy);
  return copy;
}

/** Of a program that nobody sees, tracing costs nothing: its figure would say that all is well. */
async function expectCaptured(runtime: Runtime, context: BenchContext): Promise<void> {
  const file = join(context.directory, 'checked.jsonl');
  await runTrace(['--no-hub', '-q', '--raw', '-o', file, '--', ...hookedCommand(runtime, CHECKED_ROUNDS, context)], context.directory);
  const seen = { read: 0, written: 0 };
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const event = JSON.parse(line) as Event;
    if (event.source !== 'tls' || event.data.event !== 'DATA') continue;
    // What no parser could read is left out of the file, but counted in it.
    seen[event.data.direction === 'read' ? 'read' : 'written'] += event.data.len + (event.data.withheld ?? 0);
  }
  const expected = CHECKED_ROUNDS * SIZE_BYTES;
  if (seen.read < expected || seen.written < expected) {
    throw new Error(`${runtime.name}: of ${expected} bytes each way, ${seen.written} were seen written and ${seen.read} read: nothing to measure`);
  }
}

/** A first round in a process of its own, time to hook what it maps, and the rounds. */
function hookedCommand({ command }: Runtime, rounds: number, context: BenchContext): readonly string[] {
  const quoted = (words: readonly string[]): string => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const report = reportPath(context);
  return ['sh', '-c', `${quoted([...command(1), report])} && sleep ${HOOKING_S} && exec ${quoted([...command(rounds), report])}`];
}

function reportPath({ directory }: BenchContext): string {
  return join(directory, 'tls.json');
}

async function measure(runtime: Runtime, context: BenchContext): Promise<Figure> {
  const { name, rounds, targetUs } = runtime;
  const report = reportPath(context);
  const file = join(context.directory, 'tls.jsonl');
  const [program, ...rest] = runtime.command(rounds);
  const args = [...rest, report];
  const callUs = (): number => readReport(report).cpuNs / 1000 / rounds / CALLS_PER_ROUND;
  const runs = context.rounds(RUNS);
  const bare: number[] = [];
  const extra: number[] = [];
  for (let number = 1; number <= runs; number++) {
    await runProgram(program, args);
    const alone = callUs();
    // The chunks are left out of the file, but they travel up to the analyzers all the same.
    await runTrace(['--no-hub', '-q', '-o', file, '--', ...hookedCommand(runtime, rounds, context)], context.directory);
    context.note(`${name} ${number}: ${alone.toFixed(2)} µs a call alone, ${callUs().toFixed(2)} traced`);
    bare.push(alone);
    extra.push(callUs() - alone);
  }
  return {
    bench: 'tls', name: `${name}: extra time per call`, unit: 'µs', value: median(extra),
    target: targetUs === null ? null : { kind: 'at most', value: targetUs },
    floor: { value: median(bare), what: 'the same call untraced' },
    method: `median of ${runs} pairs of runs; CPU time of the traced program, a round being one write and one read of ${SIZE_BYTES} B`,
  };
}
