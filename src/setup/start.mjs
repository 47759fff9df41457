// @ts-check
/**
 * `npm start`: sets everything up, then runs the program. With arguments they
 * are the program's own; without, a demo agent is traced and its page served
 * until Ctrl-C.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { runMain, setUp } from './setup.mjs';
import { ROOT, isRoot, onPath, say } from './shell.mjs';

const DEMO_AGENT = join(ROOT, 'test/programs/demo/main.mjs');
const DEMO_API = join(ROOT, 'test/programs/demo/server.mjs');
const DEMO_CAPTURE = join(ROOT, 'test/captures/demo.jsonl');

await runMain(async () => {
  await setUp();
  const args = process.argv.slice(2);
  return args.length > 0 ? program(args) : demo();
});

function demo() {
  if (isRoot() || onPath('sudo')) return traceDemo();
  say('! tracing needs root, and sudo is not here: this shows a capture of the demo agent instead');
  say('  as root, `npm start` traces it live; `npx agentsight-ts doctor` tells what this machine allows');
  return program(existsSync(DEMO_CAPTURE) ? ['replay', '--serve', '--hub', '--quiet', DEMO_CAPTURE] : ['serve']);
}

/** The model API runs beside the trace, not under it: as with a real one, only the agent's end is seen. */
async function traceDemo() {
  say('tracing a demo agent; `npm start -- --help` shows what else there is');
  const api = spawn(process.execPath, [DEMO_API], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line] = await once(createInterface({ input: api.stdout }), 'line');
    const { url, ca } = JSON.parse(String(line));
    // The absolute path: under sudo, PATH may hold another Node or none.
    return await program(['trace', '--serve', '--', process.execPath, DEMO_AGENT], { DEMO_API_URL: url, DEMO_CA: ca });
  } finally {
    // It ends with its standard input.
    api.stdin.end();
  }
}

/**
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} environment in addition to ours
 * @returns {Promise<number>} its exit code, as a shell would give it
 */
function program(args, environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, 'bin/agentsight-ts.mjs'), ...args], {
      stdio: 'inherit',
      env: { ...process.env, ...environment },
    });
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => {
        // From a terminal the child has it already, and takes both for one.
        child.kill(signal);
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
  });
}
