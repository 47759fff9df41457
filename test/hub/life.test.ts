import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { AgentsightError } from '../../src/errors.ts';
import { readHubFile, writeHubFile } from '../../src/hub/hub-file.ts';
import { runHub } from '../../src/hub/main.ts';
import { probePort } from '../../src/hub/probe.ts';
import { ensureHub, stopHub } from '../../src/hub/spawn.ts';
import { PROTOCOL_VERSION } from '../../src/link/protocol.ts';
import { dataPaths } from '../../src/paths.ts';
import { findUser } from '../../src/user.ts';
import { tempDir } from '../helpers/files.ts';
import { openLinkClient } from '../helpers/link-client.ts';
import { itAsRoot } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { batch } from './lines.ts';
import { FREE_DISK_BYTES, startTestHub } from './support.ts';

const user = findUser(String(process.getuid?.() ?? 0));
const quiet = { port: 0, freeDiskBytes: FREE_DISK_BYTES, log: () => undefined };

async function errorOf(promise: Promise<unknown>): Promise<AgentsightError> {
  const error: unknown = await promise.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(AgentsightError);
  return error as AgentsightError;
}

function statusOf(pid: number, field: string): string {
  return new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
}

function mode(path: string): number {
  return statSync(path).mode & 0o777;
}

describe('a hub in this process', () => {
  test('holds its data directory alone, names who has it, and frees it', async () => {
    const first = await startTestHub();
    const error = await errorOf(runHub({ dataDir: first.dir.file('data'), ...quiet }));
    expect(error.code).toBe('DATA_DIR_LOCKED');
    expect(error.message).toContain(`process ${process.pid}`);
    await first.hub.close();
    const second = await runHub({ dataDir: first.dir.file('data'), ...quiet });
    await second.close();
    await second.close();
    first.dir.remove();
  });

  test('lets only its user near its files', async () => {
    const hub = await startTestHub();
    const dataDir = hub.dir.file('data');
    const paths = dataPaths(dataDir);
    expect(mode(dataDir)).toBe(0o700);
    expect(mode(paths.hubFile)).toBe(0o600);
    expect(mode(paths.hubSocket)).toBe(0o600);
    expect(mode(paths.lock)).toBe(0o600);
    await hub.hub.close();
    expect(existsSync(paths.hubFile)).toBe(false);
    expect(existsSync(paths.hubSocket)).toBe(false);
    hub.dir.remove();
  });

  test('says which port is taken, or takes another when it may', async () => {
    const first = await startTestHub();
    const dir = tempDir();
    const error = await errorOf(runHub({ ...quiet, dataDir: dir.file('data'), port: first.hub.port }));
    expect(error).toMatchObject({ code: 'PORT_IN_USE' });
    const second = await runHub({ ...quiet, dataDir: dir.file('data'), port: first.hub.port, portFallback: true });
    expect(second.port).not.toBe(first.hub.port);
    await second.close();
    dir.remove();
    await first.close();
  });

  test('works where the path is too long for a socket, under the same short one each time', async () => {
    const dir = tempDir();
    const dataDir = dir.file('long-'.repeat(30));
    const first = await runHub({ ...quiet, dataDir });
    const path = first.socketPath;
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(107);
    const link = await openLinkClient(path, 'long.boot.c');
    await link.acknowledged(await link.send(batch(1, 10)));
    link.close();
    await first.close();
    expect(existsSync(path)).toBe(false);
    const second = await runHub({ ...quiet, dataDir });
    expect(second.socketPath).toBe(path);
    await second.close();
    dir.remove();
  });

  test('leaves when nobody has needed it for long enough, not before', async () => {
    const hub = await startTestHub({ idleMs: 700 });
    let left = false;
    void hub.hub.closed.then(() => {
      left = true;
    });
    const link = await openLinkClient(hub.hub.socketPath, 'idle.boot.c');
    const start = performance.now();
    await waitFor('longer than the limit', async () => {
      await link.acknowledged(await link.send(batch(1, 1)));
      return performance.now() - start > 1500;
    });
    expect(left).toBe(false);
    link.close();
    await waitFor('the hub to leave', () => left);
    await hub.close();
  });

  test('a directory that cannot be one is named', async () => {
    const dir = tempDir();
    writeFileSync(dir.file('file'), '');
    expect(await errorOf(runHub({ ...quiet, dataDir: dir.file('file/data') }))).toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
    dir.remove();
  });
});

describe('a hub that is started for a trace', () => {
  test('is joined by the next one, outlives its parent\'s group, and is ended by stop', async () => {
    const dir = tempDir();
    const dataDir = dir.file('data');
    // Two at once: one starts it, the other joins.
    const [one, two] = await Promise.all([ensureHub({ user, dataDir, port: 0 }), ensureHub({ user, dataDir, port: 0 })]);
    expect(one.pid).toBe(two.pid);
    expect([one.started, two.started].toSorted()).toEqual([false, true]);
    expect(await ensureHub({ user, dataDir, port: 0 })).toEqual({ ...one, started: false });
    // In a session of its own: the fourth number after the name.
    const session = readFileSync(`/proc/${one.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
    expect(session).toBe(String(one.pid));
    expect(await stopHub(dataDir, user)).toBe(true);
    expect(await stopHub(dataDir, user)).toBe(false);
    expect(existsSync(`/proc/${one.pid}`) && !statusOf(one.pid, 'State').startsWith('Z')).toBe(false);
    dir.remove();
  });

  itAsRoot('has no capability where root is the user', async () => {
    const dir = tempDir();
    const dataDir = dir.file('data');
    const hub = await ensureHub({ user: findUser('root'), dataDir, port: 0 });
    for (const field of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(statusOf(hub.pid, field)).toBe('0000000000000000');
    expect(statusOf(hub.pid, 'NoNewPrivs')).toBe('1');
    expect(await stopHub(dataDir, user)).toBe(true);
    dir.remove();
  });

  itAsRoot('runs as the invoking user where root started it, or says what that user may not read', async () => {
    const nobody = findUser('nobody');
    const dir = tempDir();
    chmodSync(dir.path, 0o755);
    mkdirSync(dir.file('home'));
    execFileSync('chown', [`${nobody.uid}:${nobody.gid}`, dir.file('home')]);
    const dataDir = dir.file('home/data');
    const started = await ensureHub({ user: { ...nobody, home: dir.file('home') }, dataDir, port: 0 }).then((hub) => hub, (error: unknown) => error);
    if (started instanceof AgentsightError) {
      expect(`${started.hint}`).toContain('must be able to read this installation');
    } else {
      const hub = started as { pid: number };
      expect(statusOf(hub.pid, 'Uid').split('\t')).toEqual(Array(4).fill(String(nobody.uid)));
      expect(statusOf(hub.pid, 'CapEff')).toBe('0000000000000000');
      expect(statSync(dataPaths(dataDir).hubLog).uid).toBe(nobody.uid);
      expect(await stopHub(dataDir, nobody)).toBe(true);
    }
    dir.remove();
  });

  test('of another version is refused with what to do', async () => {
    const hub = await startTestHub();
    const dataDir = hub.dir.file('data');
    const other = createServer((_request, response) => response.end(JSON.stringify({
      name: 'agentsight-ts', version: '9.0.0', protocol: PROTOCOL_VERSION + 1, hub: 'other', uid: user.uid, store: 'ready',
    })));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const file = readHubFile(dataDir);
    if (file === null) throw new Error('no hub.json');
    writeHubFile(dataDir, { ...file, port: (other.address() as AddressInfo).port, hub: 'other', version: '9.0.0', protocol: PROTOCOL_VERSION + 1 });
    const error = await errorOf(ensureHub({ user, dataDir, port: 0 }));
    expect(error.code).toBe('HUB_VERSION');
    expect(error.hint).toContain('serve --stop');
    other.close();
    await hub.close();
  });

  test('names who is on the port it was asked for', async () => {
    const foreign = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
    const { port } = foreign.address() as AddressInfo;
    const state = await probePort(port);
    expect(state).toMatchObject({ kind: 'foreign' });
    expect(state.kind === 'foreign' && state.owner).toContain(`pid ${process.pid}, user ${user.name}`);
    const dir = tempDir();
    const notices: string[] = [];
    const hub = await ensureHub({ user, dataDir: dir.file('data'), port, onNotice: (text) => notices.push(text) });
    expect(hub.port).not.toBe(port);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain(`port ${port} is in use by`);
    const second = tempDir();
    const own = await ensureHub({ user, dataDir: second.file('data'), port: hub.port, onNotice: (text) => notices.push(text) });
    expect(notices[1]).toContain('the hub of another data directory');
    expect(own.port).not.toBe(hub.port);
    expect(await probePort(own.port)).toMatchObject({ kind: 'hub', health: { uid: user.uid } });
    await stopHub(dir.file('data'), user);
    await stopHub(second.file('data'), user);
    expect(await probePort(own.port)).toEqual({ kind: 'free' });
    foreign.close();
    dir.remove();
    second.remove();
  });

  test('that cannot start says why, with the code of the cause', async () => {
    const dir = tempDir();
    const dataDir = dir.file('data');
    const error = await errorOf(ensureHub({ user, dataDir, port: 0, store: 'http://127.0.0.1:1' }));
    expect(error.code).toBe('STORE_FAILED');
    expect(error.message).toContain('could not open the store at the given URL');
    expect(await stopHub(dataDir, user)).toBe(false);
    dir.remove();
  });
});
