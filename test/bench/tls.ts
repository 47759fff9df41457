/**
 * What tracing costs a program that speaks TLS with OpenSSL 3: two connections in
 * one thread over memory BIOs, 4 KiB written on one side and read on the other,
 * alone and under `trace`.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { CERTIFICATE_PROGRAM } from '../helpers/files.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { readReport, runProgram, runTrace } from './run-program.ts';

const ROUNDS = 50_000;
const SIZE_BYTES = 4096;
const RUNS = 5;
const CALLS_PER_ROUND = 2;

export const tlsBench: Bench = {
  name: 'tls',
  about: `cost to a traced OpenSSL 3 program, ${ROUNDS.toLocaleString('en')} rounds of write and read of ${SIZE_BYTES} B, ${RUNS} runs`,
  run,
};

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const { directory } = context;
  const program = context.compile('tlsloop', ['-l:libssl.so.3', '-l:libcrypto.so.3']);
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, directory]);
  const report = join(directory, 'tls.json');
  const args = [String(ROUNDS), String(SIZE_BYTES), join(directory, 'cert.pem'), join(directory, 'key.pem'), report];
  const file = join(directory, 'tls.jsonl');
  const roundUs = (): number => readReport(report).cpuNs / 1000 / ROUNDS;

  const bare: number[] = [];
  const extra: number[] = [];
  for (let number = 1; number <= RUNS; number++) {
    await runProgram(program, args);
    const alone = roundUs();
    // The chunks are left out of the file, but they travel up to the analyzers all the same.
    await runTrace(['--no-hub', '-q', '-o', file, '--', program, ...args], directory);
    context.note(`run ${number}: ${alone.toFixed(2)} µs a round alone, ${roundUs().toFixed(2)} traced`);
    bare.push(alone);
    extra.push((roundUs() - alone) / CALLS_PER_ROUND);
  }
  const bareCallUs = median(bare) / CALLS_PER_ROUND;
  return [{
    bench: 'tls', name: 'extra time per call', unit: 'µs', target: { kind: 'at most', value: 2.5 }, value: median(extra),
    floor: { value: bareCallUs, what: 'the same call untraced' },
    method: `median of ${RUNS} pairs of runs; CPU time of the traced program, a round being one SSL_write and one SSL_read`,
  }];
}
