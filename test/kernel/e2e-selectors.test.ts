/** Selectors of the command line, those of AgentSight included: what is chosen, and what is refused before anything runs. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, parseEvents, readEvents, runCli, startCli, type CliResult, type RunningCli } from '../helpers/cli.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { startPlainServer } from '../helpers/net.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { findUser } from '../../src/user.ts';

describeKernel('trace: what a user selects', () => {
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

  const launch = (command: readonly string[], flags: readonly string[]): Promise<CliResult> =>
    runCli(['trace', '--no-hub', '-o', file, ...flags, '--', ...command], { cwd: dir.path });

  const argvs = (): string[] => ofSource(readEvents(file), 'process').flatMap(({ data }) => (data['event'] === 'EXEC' ? [(data['argv'] as string[]).join(' ')] : []));

  it('--exe and --uid by name: programs that fit both', async () => {
    const tool = dir.file('tool');
    copyFileSync('/bin/sleep', tool);
    spawnSync('chmod', ['755', dir.path]);
    const cli = startCli(['trace', '--no-hub', '-o', file, '--exe', tool, '--uid', 'nobody']);
    children.push(cli.child);
    await cli.said(`tracing every process that runs ${tool}, of user ${findUser('nobody').uid}; Ctrl-C ends`);
    spawnSync('sh', ['-c', `${tool} 0; setpriv --reuid=nobody --clear-groups /bin/sleep 0.0; setpriv --reuid=nobody --clear-groups ${tool} 0.01; exit 0`]);
    await waitFor('its end', () => ofSource(readEvents(file), 'process').some(({ data }) => data['event'] === 'EXIT'));
    expect((await cli.interrupt()).code).toBe(0);
    expect(argvs()).toEqual([`${tool} 0.01`]);
  });

  it('--no-follow and --exclude-source: the command alone, without what is left out', async () => {
    const result = await launch(['sh', '-c', 'echo from-it; /bin/echo from-a-child; exec 3</etc/passwd'], ['--no-follow', '--exclude-source', 'file,net']);
    expect(result.code, result.stderr).toBe(0);
    expect(argvs()).toHaveLength(1);
    expect(new Set(readEvents(file).map(({ source }) => source).filter((source) => !['probe', 'loss', 'log'].includes(source)))).toEqual(new Set(['process', 'stdio']));
    expect(ofSource(readEvents(file), 'stdio').map(({ data }) => data['payload'])).toEqual(['from-it\n']);
  });

  it('--fds and --max-bytes: those descriptors, cut and marked', async () => {
    const result = await launch(['/usr/bin/python3', '-S', '-c', 'import os\nos.write(1, b"one")\nos.write(2, b"two-and-more")'], ['--source', 'stdio', '--fds', '2', '--max-bytes', '3']);
    expect(result.code, result.stderr).toBe(0);
    expect(ofSource(readEvents(file), 'stdio').map(({ data }) => [data['fd'], data['payload'], data['total'], data['truncated']])).toEqual([[2, 'two', 12, true]]);
    expect(result.stderr).toContain('9 bytes of stdio payload were beyond the limit of one call');
  });

  it('--port: exchanges at that port alone', async () => {
    const [wanted, other] = [await startPlainServer(), await startPlainServer()];
    try {
      const urls = [other, wanted].map(({ port }) => `http://127.0.0.1:${port}/`);
      const result = await launch(['curl', '-s', ...urls], ['--port', String(wanted.port), '--source', 'http,net']);
      expect(result.code, result.stderr).toBe(0);
      expect(result.stdout).toBe('hellohello');
      expect(ofSource(readEvents(file), 'http').map(({ data }) => data['url'])).toEqual([urls[1]]);
      const seen = ofSource(readEvents(file), 'net').map(({ data }) => (data['endpoint'] as { remote: { port: number } }).remote.port);
      expect(new Set(seen)).toEqual(new Set([wanted.port]));
    } finally {
      await wanted.close();
      await other.close();
    }
  });

  it.each([
    [['--exe', '/no/such/program'], 5, 'there is no program /no/such/program'],
    [['--exe', 'no-such-program'], 5, 'PATH'],
    [['--uid', 'no-such-user'], 2, 'could not find user no-such-user'],
    [['--cgroup', '/no/such/group'], 5, 'there is no control group /no/such/group'],
    [['--cgroup', '/'], 2, 'every process is below the root'],
    [['--container', 'no-such-name'], 5, 'neither docker nor podman knows a container no-such-name'],
    [['--port', '0', '-c', 'x'], 2, '--server-port'],
    [['-p', String(process.pid), '-c', 'no-such-name'], 5, `could not trace process ${process.pid}: its name is`],
    [['--port', '443'], 2, 'nothing was chosen'],
  ])('%j is refused, saying why, before anything is written', async (flags, code, message) => {
    const result = await runCli(['trace', '--no-hub', ...flags]);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toContain('tracing');
  });

  it('AgentSight: stdio with the flags of its helper, ssl=false, and system', async () => {
    const target = spawn('sh', ['-c', 'while read line; do echo "$line-$line"; /bin/echo child; done'], { stdio: ['pipe', 'ignore', 'ignore'] });
    children.push(target);
    const cli = await attachAs(['stdio', '--no-hub', '-o', file, '--', '-p', String(target.pid), '--max-bytes', '4', '-c', 'sh,other']);
    target.stdin.end('first\n');
    const result = await cli.result;
    expect(result.code, result.stderr).toBe(0);
    const sources = (): Set<string> => new Set(readEvents(file).map(({ source }) => source).filter((source) => source !== 'loss'));
    expect(sources()).toEqual(new Set(['stdio']));
    // A line whose end is cut off waits for it, and may leave after the next program's.
    const written = ofSource(readEvents(file), 'stdio').filter(({ data }) => data['direction'] === 'write').map(({ data }) => data['payload']);
    expect(written.toSorted()).toEqual(['chil', 'firs']);

    const spelled: Set<string>[] = [];
    for (const flags of [['--ssl=false', '--process=false', '--stdio'], ['--ssl', 'false', '--process', 'false', '--stdio', 'true']]) {
      expect((await launch(['sh', '-c', 'echo one'], flags)).code).toBe(0);
      spelled.push(sources());
    }
    expect(spelled).toEqual([new Set(['stdio']), new Set(['stdio'])]);

    const idle = spawn('sh', ['-c', 'read line'], { stdio: ['pipe', 'ignore', 'ignore'] });
    children.push(idle);
    const system = await attachAs(['system', '--no-hub', '--json', '-i', '0.2', '-p', String(idle.pid)]);
    await waitFor('a sample', () => system.stdout().includes('\n'));
    idle.stdin.end('\n');
    expect(await system.result).toMatchObject({ code: 0 });
    expect(new Set(parseEvents(system.stdout()).filter(({ source }) => source !== 'loss').map(({ source, pid }) => `${source} ${pid}`))).toEqual(new Set([`system ${idle.pid}`]));
  });

  async function attachAs(words: readonly string[]): Promise<RunningCli> {
    const cli = startCli(words);
    children.push(cli.child);
    await cli.said(/tracing .*; Ctrl-C ends/);
    return cli;
  }
});
