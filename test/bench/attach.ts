/**
 * What a program that nobody traces pays for the hooks in a library that it
 * shares with a traced one: not hooked, hooked by inode (for every process), and
 * hooked in one other process.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { loadAddon, type Capture } from '../../src/addon.ts';
import { createLadder } from '../../src/runners/locate/ladder.ts';
import { createTlsFiles } from '../../src/runners/tls-files.ts';
import { systemTlsLibraries } from '../../src/runners/tls-system.ts';
import { CERTIFICATE_PROGRAM } from '../helpers/files.ts';
import { startCapture } from '../helpers/capture.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';
import { startHttpsServer } from './tls-server.ts';
import { readReport, runProgram } from './run-program.ts';

const RUNS = 5;
const ROUNDS = 50_000;
const SIZE_BYTES = 100;
const CALLS_PER_ROUND = 2;
const CURLS = 20;

type Mode = 'not hooked' | 'by inode' | 'another process';
const MODES: readonly Mode[] = ['not hooked', 'by inode', 'another process'];

export const attachBench: Bench = {
  name: 'attach',
  about: `what an untraced OpenSSL program pays for hooks that others need, ${RUNS} runs of each mode`,
  run,
};

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const { directory } = context;
  const loop = context.compile('tlsloop', ['-l:libssl.so.3', '-l:libcrypto.so.3']);
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, directory]);
  const report = join(directory, 'loop.json');
  const loopArgs = [String(ROUNDS), String(SIZE_BYTES), join(directory, 'cert.pem'), join(directory, 'key.pem'), report];
  const server = await startHttpsServer(directory);
  const line = `for i in $(seq ${CURLS}); do curl -sk https://localhost:${server.port}/ >/dev/null || exit 1; done`;
  const calls = new Map<Mode, number[]>(MODES.map((mode) => [mode, []]));
  const curls = new Map<Mode, number[]>(MODES.map((mode) => [mode, []]));
  try {
    for (let number = 1; number <= RUNS; number++) {
      for (const mode of MODES) {
        const close = await hook(mode);
        try {
          await runProgram(loop, loopArgs);
          calls.get(mode)?.push(readReport(report).cpuNs / 1000 / ROUNDS / CALLS_PER_ROUND);
          const before = process.hrtime.bigint();
          await runProgram('sh', ['-c', line]);
          curls.get(mode)?.push(Number(process.hrtime.bigint() - before) / 1e6 / CURLS);
        } finally {
          close();
        }
      }
      context.note(`run ${number}: ${MODES.map((mode) => `${mode} ${calls.get(mode)?.at(-1)?.toFixed(2)} µs a call, ${curls.get(mode)?.at(-1)?.toFixed(1)} ms a curl`).join('; ')}`);
    }
  } finally {
    await server.close();
  }
  return MODES.slice(1).flatMap((mode) => [figure(mode, calls, 'a call of 100 B', 'µs'), figure(mode, curls, 'a whole curl', 'ms')]);
}

function figure(mode: Mode, values: ReadonlyMap<Mode, readonly number[]>, what: string, unit: string): Figure {
  return {
    bench: 'attach', name: `${mode}: ${what}`, unit, target: null, value: median(values.get(mode) ?? []),
    floor: { value: median(values.get('not hooked') ?? []), what: 'the same, not hooked' },
    method: `median of ${RUNS} runs, modes in turn; the program is not traced`,
  };
}

/** Hooks the installed OpenSSL as a trace does. Returns what undoes it. */
async function hook(mode: Mode): Promise<() => void> {
  if (mode === 'not hooked') return () => undefined;
  const { capture } = startCapture({ families: ['process', 'tls'] });
  const pid = mode === 'by inode' ? null : process.pid;
  const scoped: Pick<Capture, 'attachUprobe' | 'detachUprobe'> = {
    attachUprobe: (target) => capture.attachUprobe({ ...target, pid }),
    detachUprobe: (id) => capture.detachUprobe(id),
  };
  const addon = loadAddon();
  const ladder = createLadder({ readElf: addon.readElf, store: null });
  const files = createTlsFiles({ addon, capture: scoped, ladder, onProbe: () => undefined });
  const looked = await Promise.all(systemTlsLibraries().map((path) => files.look(path)));
  if (!looked.some((file) => file?.state === 'attached')) throw new Error('the installed OpenSSL was not hooked');
  return () => capture.close();
}
