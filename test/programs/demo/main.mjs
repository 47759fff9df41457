/**
 * The demo: a small agent that fixes a spelling mistake and looks up a date,
 * against a model API on this machine. Nothing but Node is needed: no build, no
 * dependency, no network.
 *
 *   node main.mjs [--repeat N]      N runs of the agent, 0 = until Ctrl-C; one by default
 *
 * The API is a process of its own. With DEMO_API_URL and DEMO_CA in the
 * environment (the line that server.mjs prints), one that runs already is used.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PAUSE_BETWEEN_RUNS_MS = 3000;
/** Not a secret: it opens nothing. It has the form of one, so that its masking can be seen. */
const DEMO_KEY = 'sk-ant-demo03-Zm9yLXRoZS1kZW1vLW9ubHktb3BlbnMtbm90aGluZw-AAAAAAAA';

const files = {
  'README.md': '# Lighthouse\n\nA small service.\n\nClients recieve one message a minute.\n',
  'notes.md': '# Notes\n\n- the harbour office asked for a quieter lamp\n- release planned for 2031-05-17, after the audit\n',
  'todo.md': '# To do\n\n- replace the lamp\n',
};

const children = new Set();
const directory = mkdtempSync(join(tmpdir(), 'agentsight-demo-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
  process.on(signal, () => stop(128 + number));
}

try {
  const api = await openApi();
  const repeat = repeatOf(process.argv.slice(2));
  for (let run = 1; repeat === 0 || run <= repeat; run++) {
    if (run > 1) await delay(PAUSE_BETWEEN_RUNS_MS);
    await runAgent(api);
  }
  api.close();
} catch (error) {
  process.stderr.write(`demo: ${error.message}\n`);
  stop(1);
}

async function openApi() {
  const { DEMO_API_URL: url, DEMO_CA: ca } = process.env;
  if (url !== undefined && ca !== undefined) return { url, ca, close() {} };
  const server = start('server.mjs', [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: server.stdout });
  const ended = once(server, 'exit').then(([code]) => {
    throw new Error(`the model API ended with ${code} before it listened`);
  });
  const [line] = await Promise.race([once(lines, 'line'), ended]);
  ended.catch(() => {});
  // The server ends with its stdin, so it cannot outlive this process whatever ends it.
  return { ...JSON.parse(line), close: () => server.stdin.end() };
}

async function runAgent({ url, ca }) {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  const key = process.env.ANTHROPIC_API_KEY ?? DEMO_KEY;
  const agent = start('agent.mjs', [url, directory], {
    stdio: 'inherit',
    env: { ...process.env, ANTHROPIC_API_KEY: key, DEMO_CA: ca },
  });
  const [code, signal] = await once(agent, 'exit');
  if (code !== 0) throw new Error(`the agent ended with ${signal ?? code}`);
}

function start(script, args, options) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], options);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

function stop(code) {
  for (const child of children) child.kill('SIGTERM');
  process.exit(code);
}

function repeatOf(args) {
  if (args.length === 0) return 1;
  const count = args[0] === '--repeat' ? Number(args[1]) : Number.NaN;
  if (!Number.isInteger(count) || count < 0) throw new Error('usage: node main.mjs [--repeat N]');
  return count;
}
