/** What stands in the way of a hub, as the user of the command meets it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readHubFile, writeHubFile } from '../../src/hub/hub-file.ts';
import { PROTOCOL_VERSION } from '../../src/link/protocol.ts';
import { findUser } from '../../src/user.ts';
import { runCli, startCli, type RunningCli } from '../helpers/cli.ts';
import { CLI, ROOT, tempDir, type TempDir } from '../helpers/files.ts';
import { itAsRoot } from '../helpers/privilege.ts';

const CAPTURE = `${ROOT}/test/captures/demo.jsonl`;

describe('a hub that is in the way', () => {
  let dir: TempDir;
  let dataDirs: { readonly path: string; readonly user?: string }[];
  beforeEach(() => {
    dir = tempDir();
    dataDirs = [];
  });
  afterEach(async () => {
    for (const { path, user } of dataDirs) await runCli(['serve', '--stop', '--data-dir', path, ...(user === undefined ? [] : ['--user', user])]);
    dir.remove();
  });

  function dataDir(name: string, user?: string): string {
    const path = dir.file(name);
    dataDirs.push(user === undefined ? { path } : { path, user });
    return path;
  }

  async function serve(flags: readonly string[]): Promise<{ readonly cli: RunningCli; readonly port: number }> {
    const cli = startCli(['serve', ...flags]);
    await cli.said(/http:\S+token=\S+\s/);
    return { cli, port: Number(/127\.0\.0\.1:(\d+)/.exec(cli.stderr())?.[1]) };
  }

  it('a foreign program on the port is named, and another port is taken', async () => {
    const foreign = createServer((_request, response) => response.end('not a hub'));
    foreign.listen(0, '127.0.0.1');
    await once(foreign, 'listening');
    const { port } = foreign.address() as AddressInfo;
    try {
      const { cli, port: other } = await serve(['--port', String(port), '--data-dir', dataDir('one')]);
      expect(cli.stderr()).toMatch(new RegExp(`port ${port} is in use by .* \\(pid ${process.pid}, user .*\\); the page gets another one`));
      expect(other).not.toBe(port);
      expect((await cli.interrupt()).code).toBe(0);
    } finally {
      foreign.close();
    }
  });

  itAsRoot('another user\'s hub on the port is named, and another port is taken', async () => {
    const nobody = findUser('nobody');
    chmodSync(dir.path, 0o755);
    mkdirSync(dir.file('theirs'));
    chownSync(dir.file('theirs'), nobody.uid, nobody.gid);
    const theirs = await serve(['--port', '0', '--user', 'nobody', '--data-dir', dataDir('theirs', 'nobody')]);
    const ours = await serve(['--port', String(theirs.port), '--data-dir', dataDir('ours')]);
    expect(ours.cli.stderr()).toContain(`port ${theirs.port} is in use by the hub of user nobody; the page gets another one`);
    expect(ours.port).not.toBe(theirs.port);
    expect((await ours.cli.interrupt()).code).toBe(0);
    expect((await theirs.cli.interrupt()).code).toBe(0);
  });

  it('a data directory that another program has locked: said at once, with its pid', async () => {
    const path = dataDir('locked');
    mkdirSync(path, { mode: 0o700 });
    const holder = spawn('sh', ['-c', 'exec 9>"$0/lock"; flock -x 9; echo $$ > "$0/lock"; echo locked; exec sleep 1000', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(holder.stdout, 'data');
      for (const args of [['serve'], ['replay', '-q', '--hub', CAPTURE]]) {
        const result = await runCli([...args, '--port', '0', '--data-dir', path], { deadlineMs: 20_000 });
        expect(result.code, result.stderr).toBe(1);
        expect(result.stderr).toContain(`could not use the data directory ${path}: process ${holder.pid} has it`);
        expect(result.stderr).toContain('hint: ');
      }
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('a hub of another version: refused with what to do, nothing started', async () => {
    const path = dataDir('old');
    const first = await serve(['--port', '0', '--data-dir', path]);
    const file = readHubFile(path);
    if (file === null) throw new Error('there is no hub.json');
    // The running hub as a later release would describe itself.
    const other = createServer((_request, response) => response.end(JSON.stringify({
      name: 'agentsight-ts', version: '9.0.0', protocol: PROTOCOL_VERSION + 1, hub: 'later', uid: process.getuid?.(), store: 'ready',
    })));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      writeHubFile(path, { ...file, port: (other.address() as AddressInfo).port, hub: 'later', version: '9.0.0', protocol: PROTOCOL_VERSION + 1 });
      const result = await runCli(['replay', '-q', '--hub', CAPTURE, '--data-dir', path, '--port', '0', '-o', dir.file('out.jsonl')]);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/could not join the running hub .*9\.0\.0 .*\n {2}hint: .*serve --stop/);
    } finally {
      other.close();
      writeHubFile(path, file);
      expect((await first.cli.interrupt()).code).toBe(0);
    }
  });
});

describe('schema', () => {
  it('is JSON Schema, and ends quietly when its reader leaves', async () => {
    const whole = await runCli(['schema']);
    expect(whole.code).toBe(0);
    expect(JSON.parse(whole.stdout)).toMatchObject({ $schema: expect.stringContaining('json-schema.org'), type: 'object' });
    const left = spawnSync('bash', ['-c', '"$0" "$1" schema | head -c 10; exit "${PIPESTATUS[0]}"', process.execPath, CLI], { encoding: 'utf8' });
    expect(left).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('replay without root and kernel', () => {
  it('a capture that is not there leaves no output file behind', async () => {
    const dir = tempDir();
    const result = await runCli(['replay', '-o', dir.file('out.jsonl'), dir.file('missing.jsonl')]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/could not read .*missing\.jsonl/);
    expect(existsSync(dir.file('out.jsonl'))).toBe(false);
    dir.remove();
  });
});
