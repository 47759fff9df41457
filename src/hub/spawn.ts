/**
 * Finds the user's running hub, or starts one: in a session of its own, so that
 * the terminal's Ctrl-C does not reach it, and without privileges.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentsightError, errnoOf } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { PROTOCOL_VERSION } from '../link/protocol.ts';
import { dataPaths } from '../paths.ts';
import type { User } from '../user.ts';
import { HUB_OPTIONS_VARIABLE, type ChildFailure, type ChildOptions } from './child-options.ts';
import { compiledEntry } from './entries.ts';
import { readHubFile, readOwned, type HubFile } from './hub-file.ts';
import { probePort, userName } from './probe.ts';
import { isHubProcess, isProcessOf } from './processes.ts';

export { stopHub } from './stop.ts';

export interface EnsureHubOptions {
  readonly user: User;
  readonly dataDir: string;
  readonly port: number;
  /** URL of a ClickHouse server instead of the embedded engine. */
  readonly store?: string | undefined;
  /** Things that the user should know, such as another port than the one asked for. */
  readonly onNotice?: ((text: string) => void) | undefined;
}

export interface RunningHub {
  /** Page address with its token. */
  readonly url: string;
  readonly port: number;
  readonly socketPath: string;
  readonly pid: number;
  /** False: it ran already. */
  readonly started: boolean;
}

const READY_MS = 60_000;
const POLL_MS = 25;
const TAIL_BYTES = 8192;
const TAIL_LINES = 12;

/** Throws HUB_VERSION, DATA_DIR_LOCKED, DATA_DIR_UNUSABLE, STORE_ENGINE_MISSING, STORE_FAILED, HUB_UNREACHABLE. */
export async function ensureHub(options: EnsureHubOptions): Promise<RunningHub> {
  const running = await findHub(options.dataDir, options.user);
  if (running !== null) return running;
  await announcePort(options);
  const child = spawnHub(options);
  try {
    return await waitUntilReady(child, options);
  } finally {
    // From here on it lives its own life.
    child.stderr?.destroy();
    child.unref();
  }
}

/** The hub of this data directory, when it runs. Throws HUB_VERSION when it speaks another protocol. */
export async function findHub(dataDir: string, user: User): Promise<RunningHub | null> {
  const file = readHubFile(dataDir, user.uid);
  if (file === null || !isProcessOf(file.pid, user.uid)) return null;
  const state = await probePort(file.port);
  if (state.kind !== 'hub' || state.health.hub !== file.hub) return null;
  if (state.health.protocol !== PROTOCOL_VERSION) throw versionError(file);
  return { url: file.url, port: file.port, socketPath: file.socket, pid: file.pid, started: false };
}

function versionError(file: HubFile): AgentsightError {
  return new AgentsightError(
    'HUB_VERSION',
    `could not join the running hub (pid ${file.pid}): it is agentsight-ts ${file.version} and speaks protocol ${file.protocol}, this one speaks ${PROTOCOL_VERSION}`,
    { hint: 'end it with `agentsight-ts serve --stop`, then start again' },
  );
}

/** Only says what will happen; the hub itself takes another port when the one it tries is in use. */
async function announcePort({ port, user, onNotice }: EnsureHubOptions): Promise<void> {
  if (port === 0 || onNotice === undefined) return;
  const state = await probePort(port);
  if (state.kind === 'free') return;
  const who = state.kind === 'foreign'
    ? state.owner
    : `the hub of ${state.health.uid === user.uid ? 'another data directory' : `user ${userName(state.health.uid)}`}`;
  onNotice(`port ${port} is in use by ${who}; the page gets another one`);
}

function spawnHub({ user, dataDir, port, store }: EnsureHubOptions): ChildProcess {
  const options: ChildOptions = { dataDir, port, portFallback: true, store, idleMs: LIMITS.hubIdleMs };
  // The log is opened by the user's own shell: root must not open a path that the user controls.
  const script = 'umask 077; mkdir -p -- "$1" || exit 1; log="$1/hub.log"; shift; exec "$@" </dev/null >>"$log" 2>&1';
  const [command, ...args] = [
    ...asUser(user), '/bin/sh', '-c', script, 'sh', dataDir,
    process.execPath, compiledEntry('src/hub/child'),
  ] as const;
  return spawn(command ?? '', args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: hubEnvironment(user, options),
  });
}

/**
 * As root for another user: that user with all its groups. As root for root:
 * without a single capability and with no way to get one.
 */
export function asUser(user: User): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  if (user.uid === 0) return ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--'];
  return ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--inh-caps=-all', '--no-new-privs', '--'];
}

/** Nothing of root's environment but what a program needs to run. */
export function hubEnvironment(user: User, options: ChildOptions): NodeJS.ProcessEnv {
  const own = process.getuid?.() === user.uid;
  const kept = ['PATH', 'LANG', 'LC_ALL', 'TZ', ...(own ? ['XDG_RUNTIME_DIR', 'TMPDIR'] : [])];
  return {
    ...Object.fromEntries(kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    [HUB_OPTIONS_VARIABLE]: JSON.stringify(options),
  };
}

async function waitUntilReady(child: ChildProcess, { dataDir, user }: EnsureHubOptions): Promise<RunningHub> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-TAIL_BYTES);
  });
  let failed: Error | null = null;
  child.once('error', (error) => {
    failed = error;
  });
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline) {
    const file = readHubFile(dataDir, user.uid);
    if (file !== null && file.pid === child.pid) {
      return { url: file.url, port: file.port, socketPath: file.socket, pid: file.pid, started: true };
    }
    if (failed !== null || child.exitCode !== null || child.signalCode !== null) {
      // Another trace may have been faster: then its hub is ours too.
      return await joinOther(dataDir, user, child.pid) ?? raise(startError({ dataDir, user, said, failed, pid: child.pid }));
    }
    await sleep(POLL_MS);
  }
  child.kill('SIGKILL');
  throw startError({ dataDir, user, said: `${said}\nit was not ready within ${READY_MS / 1000} s`, failed: null, pid: child.pid });
}

async function joinOther(dataDir: string, user: User, pid: number | undefined): Promise<RunningHub | null> {
  if (lastFailure(dataDir, user, pid)?.code !== 'DATA_DIR_LOCKED') return null;
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline) {
    const running = await findHub(dataDir, user);
    if (running !== null) return running;
    if (!isHubStarting(dataDir, user)) return null;
    await sleep(POLL_MS * 4);
  }
  return null;
}

/** Any other program may hold the lock for ever: only a hub is worth waiting for. */
function isHubStarting(dataDir: string, user: User): boolean {
  const pid = Number(readOwned(dataPaths(dataDir).lock, user.uid, 64)?.trim());
  return Number.isInteger(pid) && pid > 0 && isProcessOf(pid, user.uid) && isHubProcess(pid);
}

function raise(error: Error): never {
  throw error;
}

interface FailedStart {
  readonly dataDir: string;
  readonly user: User;
  /** What came on stderr before the log was open. */
  readonly said: string;
  readonly failed: Error | null;
  readonly pid: number | undefined;
}

function startError({ dataDir, user, said, failed, pid }: FailedStart): AgentsightError {
  const missing = failed !== null && errnoOf(failed) === 'ENOENT';
  if (missing) {
    return new AgentsightError('HUB_UNREACHABLE', 'could not start the hub: setpriv is not installed', {
      hint: 'install util-linux, or capture without a hub: --no-hub',
    });
  }
  const failure = lastFailure(dataDir, user, pid);
  if (failure?.code != null) {
    return new AgentsightError(failure.code, failure.message, { hint: failure.hint, detail: failure.detail });
  }
  const tail = tailOfLog(dataDir, user).split('\n').slice(-TAIL_LINES).join('\n');
  const detail = `${said.trim()}\n${tail}`.trim();
  return new AgentsightError('HUB_UNREACHABLE', `could not start the hub: ${failure?.message ?? 'its process ended'}`, {
    detail: detail || undefined,
    hint: /EACCES|Permission denied/.test(detail)
      ? `user ${user.name} must be able to read this installation and to write ${dataDir}`
      : `its log is ${dataPaths(dataDir).hubLog}; a capture needs no hub: --no-hub`,
  });
}

/** Of this process: the log also has those of earlier runs. */
function lastFailure(dataDir: string, user: User, pid: number | undefined): ChildFailure['failed'] | null {
  const line = tailOfLog(dataDir, user).trimEnd().split('\n').findLast((text) => text.startsWith(`{"pid":${pid},"failed":`));
  try {
    return line === undefined ? null : (JSON.parse(line) as ChildFailure).failed;
  } catch {
    return null;
  }
}

function tailOfLog(dataDir: string, user: User): string {
  return readOwned(dataPaths(dataDir).hubLog, user.uid, TAIL_BYTES) ?? '';
}
