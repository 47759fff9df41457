/**
 * `trace -- COMMAND` as a plain user: only the collector is raised, through
 * sudo. The rule that lets nobody do so is made in a mount namespace of each run.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, readEvents, runCli, startCli, type CliResult } from '../helpers/cli.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { getAll, readHubFacts } from '../helpers/hub.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { findUser } from '../../src/user.ts';

const ALLOWED = 'nobody ALL=(ALL) NOPASSWD: ALL';

/** `rule` in the only file of sudoers.d, then nobody with its own groups and nothing of root's, descriptors of ours included. */
function asNobody(rule: string, home: string): readonly string[] {
  const script = `
    mount -t tmpfs -o mode=755 none /etc/sudoers.d && printf '%s\\n' "$0" > /etc/sudoers.d/test && chmod 440 /etc/sudoers.d/test || exit 99
    for fd in /proc/$$/fd/*; do fd="\${fd##*/}"; [ "$fd" -gt 2 ] && eval "exec $fd>&-"; done
    exec setpriv --reuid nobody --regid nogroup --init-groups env -u SUDO_UID HOME="$1" TMPDIR="$1" E2E_MARK=kept "\${@:2}"`;
  return ['unshare', '--mount', 'bash', '-c', script, rule, home];
}

describeKernel('trace -- COMMAND through sudo', () => {
  const nobody = findUser('nobody');
  let dir: TempDir;
  let home: string;
  beforeEach(() => {
    dir = tempDir();
    chmodSync(dir.path, 0o755);
    home = dir.file('home');
    mkdirSync(home);
    chownSync(home, nobody.uid, nobody.gid);
  });
  afterEach(() => dir.remove());

  const trace = (command: readonly string[], flags: readonly string[] = ['--no-hub'], rule = ALLOWED): Promise<CliResult> =>
    runCli(['trace', ...flags, '--', ...command], { prefix: asNobody(rule, home), cwd: home });

  it('the command keeps the user, the environment and the folder, and has no privilege', async () => {
    const file = dir.file('home/trace.jsonl');
    const script = 'id -u; id -g; pwd; echo "$HOME $E2E_MARK ${SUDO_UID-none}"; grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/$$/status; ls /proc/$$/fd | tr "\\n" " "; exit 7';
    const result = await trace(['sh', '-c', script], ['--no-hub', '-o', file]);
    expect(result.code, result.stderr).toBe(7);
    const none = '0000000000000000';
    expect(result.stdout.trim().split('\n')).toEqual([
      String(nobody.uid), String(nobody.gid), home, `${home} kept none`,
      ...['Inh', 'Prm', 'Eff', 'Amb'].map((set) => `Cap${set}:\t${none}`),
      '0 1 2',
    ]);
    expect(result.stderr).toContain('nothing lost');
    const events = readEvents(file);
    expect(ofSource(events, 'process').find(({ data }) => data['event'] === 'EXEC')?.data).toMatchObject({ uid: nobody.uid, argv: ['sh', '-c', script] });
    expect(ofSource(events, 'stdio').some(({ data }) => String(data['payload']).includes(`${home} kept none`))).toBe(true);
    expect(statSync(file)).toMatchObject({ uid: nobody.uid });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('the hub runs as the user, with the run in its store', async () => {
    const dataDir = dir.file('home/data');
    try {
      const result = await trace(['true'], ['-q', '--data-dir', dataDir, '--server-port', '0']);
      expect(result.code, result.stderr).toBe(0);
      const facts = readHubFacts(dataDir);
      if (facts === undefined) throw new Error('there is no hub.json');
      expect(statSync(`/proc/${facts.pid}`).uid).toBe(nobody.uid);
      expect(await getAll(facts, '/sessions')).toMatchObject([{ command: ['true'], exit_code: 0 }]);
    } finally {
      await runCli(['serve', '--stop', '--data-dir', dataDir, '--user', 'nobody']);
    }
  });

  it.each([
    ['its own exit code 1', ['sh', '-c', 'exit 1'], 1, /nothing lost/],
    ['a signal', ['sh', '-c', 'kill -TERM $$'], 143, /nothing lost/],
    ['a command that is not there', ['no-such-command-anywhere'], 127, /no-such-command-anywhere/],
    ['a file that is no program', ['/etc/passwd'], 126, /could not start \/etc\/passwd/],
  ] as const)('%s gives the exit code as a shell does', async (_what, command, code, words) => {
    const result = await trace(command);
    expect(result.code, result.stderr).toBe(code);
    expect(result.stderr).toMatch(words);
  });

  it('a collector that cannot begin: 125, its words, and the command never runs', async () => {
    const result = await trace(['sh', '-c', 'echo started'], ['--no-hub', '-o', dir.file('no/such/file')]);
    expect(result).toMatchObject({ code: 125, stdout: '' });
    expect(result.stderr).toMatch(/could not write to .*no\/such\/file/);
  });

  it('a user whom sudo refuses: 3, with what to do, and the command never runs', async () => {
    const result = await trace(['sh', '-c', 'echo started'], ['--no-hub'], '# nobody may');
    expect(result).toMatchObject({ code: 3, stdout: '' });
    expect(result.stderr).toMatch(/could not raise the collector: .*\n {2}hint: .*sudo/);
  });

  it('--json: the events alone on stdout, what the command prints beside them on stderr', async () => {
    const result = await trace(['echo', 'from the command'], ['--no-hub', '--json']);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stdout.trimEnd().split('\n').map((line) => (JSON.parse(line) as { source: string }).source)).toContain('process');
    expect(result.stderr).toContain('from the command\n');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s ends the command, the collector sums up, and nothing stays behind', async (signal) => {
    const script = `trap 'echo caught; exit 5' INT TERM; echo begun; while :; do sleep 0.05; done`;
    const cli = startCli(['trace', '--no-hub', '--', 'sh', '-c', script], { prefix: asNobody(ALLOWED, home), cwd: home });
    await waitFor('the command to begin', () => cli.stdout().includes('begun'));
    // `exec` all the way: this is the user's own process, not sudo.
    cli.child.kill(signal);
    const result = await cli.result;
    expect(result.code, result.stderr).toBe(5);
    expect(result.stdout).toBe('begun\ncaught\n');
    expect(result.stderr.match(/traced for .*nothing lost/g)).toHaveLength(1);
    expect(leftovers()).toEqual([]);
  });

  /** Folders of the sockets at which command and collector meet. */
  function leftovers(): readonly string[] {
    return readdirSync(home).filter((name) => name.startsWith('agentsight-'));
  }
});
