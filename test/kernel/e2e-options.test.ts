/** What a user asks of `trace` by its options, and what then is on the terminal and in the file. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, copyFileSync, statSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, parseEvents, readEvents, runCli, startCli, type CliResult } from '../helpers/cli.ts';
import { CERTIFICATE_PROGRAM, CLI, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { startTlsServer } from '../programs/tls-server.ts';
import { findUser } from '../../src/user.ts';

/** Names of events about ourselves, which every choice of sources leaves in. */
const OWN = new Set(['probe', 'loss', 'log']);

describeKernel('trace: what a user asks for', () => {
  let dir: TempDir;
  let file: string;
  let children: ChildProcess[];
  beforeEach(() => {
    dir = tempDir();
    file = dir.file('trace.jsonl');
    children = [];
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    dir.remove();
  });

  const launch = (command: readonly string[], flags: readonly string[] = []): Promise<CliResult> =>
    runCli(['trace', '--no-hub', '-o', file, ...flags, '--', ...command], { cwd: dir.path });

  const echoing = (): ChildProcess => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.pipe(process.stdout)'], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    return child;
  };

  it('--user: the command has that user\'s ids, groups and home, and the file is theirs', async () => {
    const nobody = findUser('nobody');
    chmodSync(dir.path, 0o755);
    const result = await launch(['sh', '-c', 'id -u; id -g; id -G; echo "$HOME $USER"; grep CapEff /proc/self/status'], ['--user', 'nobody']);
    expect(result.code, result.stderr).toBe(0);
    const groups = execFileSync('id', ['-G', 'nobody'], { encoding: 'utf8' }).trim();
    expect(result.stdout.trim().split('\n')).toEqual([
      String(nobody.uid), String(nobody.gid), groups, `${nobody.home} nobody`, 'CapEff:\t0000000000000000',
    ]);
    expect(statSync(file)).toMatchObject({ uid: nobody.uid, gid: nobody.gid });
    expect(ofSource(readEvents(file), 'process').find(({ data }) => data['event'] === 'EXEC')?.data['uid']).toBe(nobody.uid);
  });

  it('--user that nobody knows: usage, before anything is started', async () => {
    const result = await launch(['sh', '-c', 'echo started'], ['--user', 'no-such-user-anywhere']);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain('no-such-user-anywhere');
  });

  it('--comm: programs of that name, running and to come, and no others', async () => {
    const name = `e2e${process.pid}`.slice(0, 15);
    copyFileSync('/bin/sleep', dir.file(name));
    const running = spawn(dir.file(name), ['1000']);
    children.push(running);
    await waitFor('the exec', () => execFileSync('cat', [`/proc/${running.pid}/comm`], { encoding: 'utf8' }).trim() === name);
    const cli = startCli(['trace', '--no-hub', '-o', file, '-c', name]);
    children.push(cli.child);
    await cli.said(/tracing .*; Ctrl-C ends/);
    const later = spawn(dir.file(name), ['0', '0.01']);
    const stranger = spawnSync('/bin/sleep', ['0']);
    expect(stranger.status).toBe(0);
    await waitFor('the end of the later one', () => readEvents(file).some(({ pid, data }) => pid === later.pid && data['event'] === 'EXIT'));
    const result = await cli.interrupt();
    expect(result.code, result.stderr).toBe(0);
    const execs = ofSource(readEvents(file), 'process').filter(({ data }) => data['event'] === 'EXEC');
    expect(execs.map(({ pid, comm, data }) => [pid, comm, data['existing']])).toEqual([[running.pid, name, true], [later.pid, name, false]]);
  });

  it('--for: ends after that long, not before and not by the end of the target', async () => {
    const target = echoing();
    const result = await runCli(['trace', '--no-hub', '-o', file, '--for', '700ms', '-p', String(target.pid)]);
    expect(result.code, result.stderr).toBe(0);
    const seconds = Number(/traced for ([\d.]+) s/.exec(result.stderr)?.[1]);
    expect(seconds).toBeGreaterThanOrEqual(0.7);
    expect(target.exitCode).toBeNull();
  });

  it.each([
    ['process', ['process']],
    ['stdio', ['stdio']],
    ['process,stdio', ['process', 'stdio']],
  ])('--source %s: those alone', async (list, sources) => {
    const result = await launch(['sh', '-c', 'echo one; /bin/true'], ['--source', list]);
    expect(result.code, result.stderr).toBe(0);
    const found = new Set(readEvents(file).map(({ source }) => source).filter((source) => !OWN.has(source)));
    expect([...found].sort()).toEqual(sources);
  });

  it('--raw: TLS chunks with their secrets masked at equal length; --no-redact leaves them, and warns', async () => {
    const server = await startTlsServer(CERTIFICATE_PROGRAM);
    try {
      const secret = `sk-ant-api03-${'Zt5'.repeat(20)}`;
      const command = ['curl', '-sS', '--cacert', server.certPath, '-o', 'out', '-H', `x-api-key: ${secret}`, `${server.url}/hello`];
      const masked = await launch(command, ['--raw']);
      expect(masked.code, masked.stderr).toBe(0);
      expect(masked.stderr).not.toContain('redaction is off');
      const open = dir.file('open.jsonl');
      const bare = await runCli(['trace', '--no-hub', '-o', open, '--raw', '--no-redact', '--', ...command], { cwd: dir.path });
      expect(bare.stderr.match(/redaction is off/g)).toHaveLength(1);
      const written = (path: string): string => ofSource(readEvents(path), 'tls')
        .filter(({ data }) => data['direction'] === 'write').map(({ data }) => String(data['payload'])).join('');
      expect(written(open)).toContain(`x-api-key: ${secret}\r\n`);
      expect(JSON.stringify(readEvents(file)).includes(secret)).toBe(false);
      expect(written(file)).toMatch(/x-api-key: [^\r]+\r\n/i);
      expect(written(file)).toHaveLength(written(open).length);
    } finally {
      await server.close();
    }
  });

  it('--ring-size: what the smallest ring cannot hold is counted, to the line', async () => {
    const lines = 20_000;
    const flood = `i=0; while [ $i -lt ${lines} ]; do echo "line $i of a flood that no small ring can hold"; i=$((i+1)); done > /dev/null`;
    const result = await launch(['sh', '-c', flood], ['--ring-size', '256K', '--source', 'stdio']);
    expect(result.code, result.stderr).toBe(0);
    const seen = ofSource(readEvents(file), 'stdio').length;
    const lost = Number((/([\d,]+) stdio records did not fit the ring/.exec(result.stderr)?.[1] ?? '0').replaceAll(',', ''));
    expect(seen + lost).toBe(lines);
    expect(result.stderr.includes('nothing lost')).toBe(lost === 0);
  });

  it.each([['64K'], ['300K'], ['2G']])('--ring-size %s: usage, with what is allowed', async (size) => {
    const result = await launch(['true'], ['--ring-size', size]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/could not use --ring-size: .*(256K to 1G|power of two)/);
  });

  it('--quiet: no event line; without it, one readable line each', async () => {
    const lines: string[] = [];
    for (const flags of [[], ['-q']]) {
      const target = echoing();
      const cli = startCli(['trace', '--no-hub', '-o', dir.file(`quiet${flags.length}`), ...flags, '-p', String(target.pid)]);
      children.push(cli.child);
      await waitFor('the target in the file', () => readEvents(dir.file(`quiet${flags.length}`)).some(({ pid }) => pid === target.pid));
      target.stdin?.end('a word\n');
      const result = await cli.result;
      expect(result.code, result.stderr).toBe(0);
      expect(result.stderr).toContain('traced for');
      lines.push(result.stdout);
    }
    expect(lines[0]).toMatch(/stdin .*a word/);
    expect(lines[1]).toBe('');
  });

  it.each([
    ['a launched command goes on and its exit code is ours', '-- sh -c \'i=0; while [ $i -lt 2000 ]; do /bin/true; i=$((i+1)); done; touch finished; exit 7\'', 7],
    ['an attached trace ends with 0', '-p "$TARGET"', 0],
  ])('--json | head: quiet; %s', async (_what, target, code) => {
    const source = spawn('sh', ['-c', 'while :; do /bin/true; /bin/sleep 0.02; done']);
    children.push(source);
    const script = `"$0" "$1" trace --no-hub --json ${target} | head -n 1; exit "\${PIPESTATUS[0]}"`;
    const result = spawnSync('bash', ['-c', script, process.execPath, CLI], {
      cwd: dir.path, encoding: 'utf8', timeout: 180_000, env: { ...process.env, TARGET: String(source.pid) },
    });
    expect(parseEvents(result.stdout)).toHaveLength(1);
    expect(result.stderr).not.toMatch(/EPIPE|Error|could not|\n\s+at /);
    expect(result.stderr.match(/traced for/g)).toHaveLength(1);
    expect(result.status).toBe(code);
    if (target.startsWith('--')) expect(statSync(dir.file('finished')).isFile()).toBe(true);
  });
});
