/**
 * How often the first bytes of a short TLS client are missed, because its
 * library was hooked too late. Each kind of client runs many times under one
 * trace; a run is missed when its request line was not captured.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from '../helpers/files.ts';
import { captureCommand, command, conversations } from '../helpers/live-capture.ts';
import type { Bench, BenchContext, Figure } from './figure.ts';
import { startHttpsServer, type TlsServer } from './tls-server.ts';

const RUNS = 200;
const PERCENT = 100;

const PYTHON = 'import sys, urllib.request, ssl; urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context()).read()';

interface Client {
  readonly name: string;
  readonly what: string;
  /** Prepares what run `number` wants, before the trace begins. */
  prepare?(number: number): void;
  /** A line of shell; `$i` is the number of the run. */
  readonly line: string;
}

export const firstBytesBench: Bench = {
  name: 'first-bytes',
  about: `how often the request of a short TLS client is missed, ${RUNS} runs of each kind, one after the other`,
  run,
};

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const server = await startHttpsServer(context.directory);
  try {
    const figures: Figure[] = [];
    for (const client of clients(context, server)) figures.push(await measure(client, context));
    return figures;
  } finally {
    await server.close();
  }
}

function clients({ directory }: BenchContext, { port }: TlsServer): readonly Client[] {
  const url = `https://localhost:${port}/$i`;
  const installed = realpathSync(execFileSync('sh', ['-c', "ldd $(command -v curl) | awk '/libssl/{print $3}'"], { encoding: 'utf8' }).trim());
  const fresh = (number: number): string => join(directory, `fresh-${number}`);
  const program = join(directory, 'tlsget');
  execFileSync('cc', ['-O2', '-static', '-o', program, programPath('tlsget.c'), '-lssl', '-lcrypto'], { stdio: 'ignore' });
  return [
    { name: 'curl', what: 'curl in a shell loop: its libssl is hooked before', line: `curl -sk ${url}` },
    { name: 'late import', what: 'Python that loads libssl after its start', line: `/usr/bin/python3 -c '${PYTHON}' ${url}` },
    {
      name: 'fresh library', what: 'curl with a copy of libssl that no process had mapped before: a new inode each time',
      prepare(number) {
        mkdirSync(fresh(number));
        copyFileSync(installed, join(fresh(number), 'libssl.so.3'));
      },
      line: `LD_LIBRARY_PATH=${directory}/fresh-$i curl -sk ${url}`,
    },
    {
      name: 'fresh static program', what: 'a small client with OpenSSL linked in, a new inode each time',
      prepare: (number) => copyFileSync(program, `${program}-${number}`),
      line: `${program}-$i ${port} /$i`,
    },
  ];
}

async function measure({ name, what, prepare, line }: Client, { note }: BenchContext): Promise<Figure> {
  for (let number = 1; number <= RUNS; number++) prepare?.(number);
  const { events, runner } = await captureCommand(
    command('sh', ['-c', `for i in $(seq ${RUNS}); do ${line} || exit 9; done >/dev/null`]), { families: ['tls'] },
  );
  const exit = await runner.exit;
  if (exit?.exitCode !== 0) throw new Error(`${name}: a client ended with ${exit?.exitCode}`);
  const seen = new Set<string>();
  let answersAlone = 0;
  for (const { read, written } of conversations(events)) {
    const path = /^GET (\/\d+) /.exec(written.toString('latin1'))?.[1];
    if (path !== undefined) seen.add(path);
    else if (read.length > 0) answersAlone++;
  }
  note(`${name}: ${seen.size} of ${RUNS} requests seen, ${answersAlone} answers without their request`);
  return {
    bench: 'first-bytes', name: `${name}: missed`, unit: '%', target: { kind: 'at most', value: 1 },
    value: ((RUNS - seen.size) / RUNS) * PERCENT, floor: null, method: `${what}; ${RUNS} runs under one trace`,
  };
}
