/**
 * Delivers the spools of collectors that died or ended while the hub was away.
 * Each is sent under its own collector's name and sequences, so that the store
 * drops what it already has. A folder is claimed by renaming it; a claim whose
 * claimer died is a leftover again.
 */
import { closeSync, constants, lstatSync, openSync, readFileSync, readdirSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { AgentsightError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { openConnection, type Connection } from './connection.ts';
import { helloSchema, PROTOCOL_VERSION, type Hello } from './protocol.ts';
import { HELLO_FILE, listSegments, readSegment, type Batch } from './spool.ts';

export interface LeftoverOptions {
  readonly socketPath: string;
  readonly spoolDir: string;
  readonly own: Hello;
  /** Whose spools are taken when we are root: theirs and root's own. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  readonly signal: AbortSignal;
}

/** `<collector>` or `<collector>~<pid of the claimer>`. */
const CLAIM = '~';

/** How many events were delivered. Stops early, without losing anything, when the signal or the hub ends it. */
export async function deliverLeftovers(options: LeftoverOptions): Promise<number> {
  let events = 0;
  for (const name of leftoverNames(options)) {
    if (options.signal.aborted) break;
    const claimed = claim(options.spoolDir, name);
    if (claimed === undefined) continue;
    const hello = readHello(claimed);
    if (hello === undefined) continue;
    events += await deliver(options, claimed, { ...hello, protocol: PROTOCOL_VERSION });
  }
  return events;
}

function leftoverNames({ spoolDir, own, owner }: LeftoverOptions): string[] {
  let names: string[];
  try {
    names = readdirSync(spoolDir);
  } catch {
    // No spool was ever needed here.
    return [];
  }
  return names
    .filter((name) => !name.startsWith(own.collector))
    .filter((name) => isOurs(join(spoolDir, name), owner?.uid) && !isAlive(join(spoolDir, name), name))
    .sort()
    .slice(0, LIMITS.spoolLeftovers);
}

/** A link or another user's folder is not followed: we may be root. */
function isOurs(dir: string, uid: number | undefined): boolean {
  const facts = lstatSync(dir, { throwIfNoEntry: false });
  if (facts === undefined || !facts.isDirectory()) return false;
  return facts.uid === uid || facts.uid === process.getuid?.();
}

/** By pid alone: a reused pid only delays the delivery until that process ends. */
function isAlive(dir: string, name: string): boolean {
  const at = name.lastIndexOf(CLAIM);
  const pid = at >= 0 ? Number(name.slice(at + 1)) : readHello(dir)?.pid;
  // Without a readable hello nobody can deliver it; the age limit of the data directory is not ours to enforce.
  if (pid === undefined || !Number.isSafeInteger(pid) || pid <= 0) return true;
  // A claim of our own that did not get through is ours to try again.
  if (at >= 0 && pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function claim(spoolDir: string, name: string): string | undefined {
  const [collector = name] = name.split(CLAIM);
  const claimed = join(spoolDir, `${collector}${CLAIM}${process.pid}`);
  try {
    renameSync(join(spoolDir, name), claimed);
    return claimed;
  } catch {
    // Another collector was faster.
    return undefined;
  }
}

function readHello(dir: string): Hello | undefined {
  try {
    const fd = openSync(join(dir, HELLO_FILE), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return helloSchema.parse(JSON.parse(readFileSync(fd, 'utf8')));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

/** One segment at a time: sent, acknowledged, deleted. */
async function deliver(options: LeftoverOptions, dir: string, hello: Hello): Promise<number> {
  const segments = listSegments(dir);
  if (segments.length === 0) {
    rmSync(dir, { recursive: true, force: true });
    return 0;
  }
  const session = await openSession(options, hello);
  let events = 0;
  try {
    for (const path of segments) {
      const batches = readSegment(path);
      await session.deliver(batches);
      events += batches.reduce((sum, batch) => sum + batch.events, 0);
      unlinkSync(path);
    }
    await session.end();
    rmSync(dir, { recursive: true, force: true });
  } catch (cause) {
    session.destroy();
    if (!options.signal.aborted) throw cause;
  }
  return events;
}

interface Session {
  deliver(batches: readonly Batch[]): Promise<void>;
  end(): Promise<void>;
  destroy(): void;
}

function openSession({ socketPath, signal }: LeftoverOptions, hello: Hello): Promise<Session> {
  return new Promise((resolve, reject) => {
    let failure: AgentsightError | undefined;
    let wanted = { sequence: 0, done: (): void => {}, failed: reject as (cause: unknown) => void };
    const fail = (cause: AgentsightError): void => {
      failure = cause;
      connection.destroy();
      wanted.failed(cause);
    };
    signal.addEventListener('abort', () => fail(new AgentsightError('HUB_UNREACHABLE', 'could not deliver a leftover: we are closing')), { once: true });
    const connection: Connection = openConnection({ socketPath, hello }, {
      onWelcome: () => resolve({ deliver: send, end: () => connection.end(), destroy: () => connection.destroy() }),
      onAck: (sequence) => sequence >= wanted.sequence && wanted.done(),
      onDrain: () => {},
      onEnd: fail,
    });
    const send = (batches: readonly Batch[]): Promise<void> => {
      const last = batches.at(-1);
      if (last === undefined) return Promise.resolve();
      return new Promise((done, failed) => {
        wanted = { sequence: last.sequence, done, failed };
        if (failure !== undefined) failed(failure);
        else for (const batch of batches) connection.sendBatch(batch.sequence, [batch.jsonl]);
      });
    };
  });
}
