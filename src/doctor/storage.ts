/** Where captured data would go: the data directory, the embedded engine, the page's port. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Settings } from '../settings.ts';
import { causeText } from '../errors.ts';
import { probePort, userName } from '../hub/probe.ts';
import type { User } from '../user.ts';
import { missing, note, ok } from './check.ts';
import type { Check } from './check.ts';

/** A server across an ocean, under load. */
const ANSWER_MS = 5000;

export async function checkStorage(settings: Settings, user: User): Promise<readonly Check[]> {
  return [checkDataDir(settings.dataDir, user), ...(await checkStore(settings.store)), await checkPort(settings.port, user)];
}

/** The folder, or the nearest one above it that is there: the rest is made when it is needed. */
function checkDataDir(dataDir: string, user: User): Check {
  let folder = dataDir;
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
  const own = process.getuid?.() === user.uid;
  const trouble = own ? refusalForUs(folder) : refusalForUser(folder, user);
  if (trouble === undefined) return ok('data', `${dataDir} is ${folder === dataDir ? 'writable' : 'not there yet and can be made'}`);
  return missing('data', `${user.name} cannot write ${folder}: ${trouble}`, { fix: 'choose another with --data-dir, or trace with --no-hub', exit: 0 });
}

function refusalForUs(folder: string): string | undefined {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (cause) {
    return causeText(cause);
  }
}

/** Only the kernel knows what another user may: ask as that user. */
function refusalForUser(folder: string, user: User): string | undefined {
  const asUser = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--', 'test', '-w', folder];
  return spawnSync('setpriv', asUser, { stdio: 'ignore' }).status === 0 ? undefined : 'permission denied';
}

async function checkStore(url: string | null): Promise<readonly Check[]> {
  if (url === null) return [checkEngine()];
  const address = new URL('ping', url.endsWith('/') ? url : `${url}/`);
  const { host } = address;
  // fetch refuses a URL with a password in it.
  address.username = '';
  address.password = '';
  try {
    const answer = await fetch(address, { signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.ok) return [ok('store', `${host} answers`)];
    return [missing('store', `${host} answers ${answer.status}`, { fix: 'check --store', exit: 0 })];
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause !== undefined ? causeText(cause.cause) : causeText(cause);
    return [missing('store', `${host} does not answer: ${reason}`, { fix: 'check --store, or leave it out for the embedded engine', exit: 0 })];
  }
}

function checkEngine(): Check {
  try {
    createRequire(import.meta.url).resolve('chdb');
    return ok('store', 'the embedded engine is installed');
  } catch {
    return missing('store', 'the embedded engine (chdb) is not installed: only files and --store work', { fix: 'npm install chdb', exit: 0 });
  }
}

async function checkPort(port: number, user: User): Promise<Check> {
  if (port === 0) return ok('page', 'takes any free port');
  const state = await probePort(port);
  switch (state.kind) {
    case 'free':
      return ok('page', `port ${port} is free`);
    case 'foreign':
      return note('page', `port ${port} is taken by ${state.owner}: a trace takes another one`, 'choose one with --server-port');
    case 'hub':
      if (state.health.uid === user.uid) return ok('page', `a hub (${state.health.version}) runs on port ${port}: a trace joins it`);
      return note('page', `a hub of user ${userName(state.health.uid)} runs on port ${port}: a trace takes another one`);
  }
}
