/**
 * What tracing costs a program that speaks TLS, for each runtime: two
 * connections in one process, 4 KiB written on one side and read on the other,
 * alone and under `trace`, in turn.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { CERTIFICATE_PROGRAM, programPath } from '../helpers/files.ts';
import { buildGo } from '../helpers/go.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { readReport, runProgram, runTrace } from './run-program.ts';

const ROUNDS = 50_000;
const SIZE_BYTES = 4096;
const RUNS = 5;
const CALLS_PER_ROUND = 2;
const BORINGSSL_FOLDER = '/usr/lib/x86_64-linux-gnu/android';

export const tlsBench: Bench = {
  name: 'tls',
  about: `cost to traced programs of each TLS runtime, rounds of one write and one read of ${SIZE_BYTES} B, ${RUNS} runs`,
  run,
};

interface Runtime {
  readonly name: string;
  readonly rounds: number;
  readonly targetUs: number | null;
  /** Before the report's path; built here. */
  readonly command: readonly [string, ...string[]];
}

async function run(context: BenchContext): Promise<readonly Figure[]> {
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, context.directory]);
  const figures: Figure[] = [];
  for (const runtime of runtimes(context)) figures.push(await measure(runtime, context));
  return figures;
}

function runtimes(context: BenchContext): readonly Runtime[] {
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
  const withRounds = (program: string, count: number): [string, ...string[]] => [program, String(count), String(SIZE_BYTES)];
  const boringssl = [`-L${BORINGSSL_FOLDER}`, '-l:libssl.so.0', '-l:libcrypto.so.0', `-Wl,-rpath,${BORINGSSL_FOLDER}`];
  return [
    { name: 'OpenSSL', rounds, targetUs: 2.5, command: [...withRounds(openssl('shared', ['-l:libssl.so.3', '-l:libcrypto.so.3']), rounds), ...certificate] },
    { name: 'OpenSSL, static', rounds, targetUs: 2.5, command: [...withRounds(openssl('static', ['-static', '-l:libssl.a', '-l:libcrypto.a']), rounds), ...certificate] },
    { name: 'BoringSSL', rounds, targetUs: 2.5, command: [...withRounds(openssl('boring', boringssl), rounds), ...certificate] },
    { name: 'GnuTLS', rounds: fewer, targetUs: null, command: withRounds(context.compile('gnutlsloop', ['-lgnutls']), fewer) },
    { name: 'Node', rounds: fewer, targetUs: null, command: [process.execPath, programPath('tlsloop.mjs'), String(fewer), String(SIZE_BYTES), ...certificate] },
    { name: 'Go', rounds: fewer, targetUs: null, command: [...withRounds(buildGo(directory, 'loop.go', { name: 'loop', flags: [] }), fewer), ...certificate] },
  ];
}

async function measure({ name, rounds, targetUs, command }: Runtime, context: BenchContext): Promise<Figure> {
  const report = join(context.directory, 'tls.json');
  const file = join(context.directory, 'tls.jsonl');
  const [program, ...args] = [...command, report] as [string, ...string[]];
  const callUs = (): number => readReport(report).cpuNs / 1000 / rounds / CALLS_PER_ROUND;
  const runs = context.rounds(RUNS);
  const bare: number[] = [];
  const extra: number[] = [];
  for (let number = 1; number <= runs; number++) {
    await runProgram(program, args);
    const alone = callUs();
    // The chunks are left out of the file, but they travel up to the analyzers all the same.
    await runTrace(['--no-hub', '-q', '-o', file, '--', program, ...args], context.directory);
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
