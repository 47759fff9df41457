// @ts-check
/**
 * `npm start`: sets everything up, then runs the program. With arguments they
 * are the program's own; without, a demo agent is traced and its page served
 * until Ctrl-C.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { runMain, setUp } from './setup.mjs';
import { ROOT, isRoot, onPath, say } from './shell.mjs';

const DEMO_AGENT = join(ROOT, 'test/programs/demo/main.mjs');
const DEMO_CAPTURE = join(ROOT, 'test/captures/demo.jsonl');

await runMain(async () => {
  await setUp();
  const args = process.argv.slice(2);
  return program(args.length > 0 ? args : demo());
});

function demo() {
  if (isRoot() || onPath('sudo')) {
    say('tracing a demo agent; `npm start -- --help` shows what else there is');
    // The absolute path: under sudo, PATH may hold another Node or none.
    return ['trace', '--serve', '--', process.execPath, DEMO_AGENT];
  }
  say('! tracing needs root, and sudo is not here: this shows a capture of the demo agent instead');
  say('  as root, `npm start` traces it live; `npx agentsight-ts doctor` tells what this machine allows');
  if (existsSync(DEMO_CAPTURE)) return ['replay', '--serve', '--hub', '--quiet', DEMO_CAPTURE];
  return ['serve'];
}

/**
 * @param {readonly string[]} args
 * @returns {Promise<number>} its exit code, as a shell would give it
 */
function program(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, 'bin/agentsight-ts.mjs'), ...args], { stdio: 'inherit' });
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
