/** What goes wrong in the world while tracing: a clear word, the right exit code, nothing lost unsaid. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, parseEvents, readEvents, runCli, startCli, type RunningCli } from '../helpers/cli.ts';
import { CERTIFICATE_PROGRAM, CLI, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { startTlsServer } from '../programs/tls-server.ts';

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
/** The kernel gives out smaller numbers only, whatever pid_max says. */
const MAX_PID = 4_194_304;

describeKernel('trace: what the world does to it', () => {
  let dir: TempDir;
  let children: ChildProcess[];
  beforeEach(() => {
    dir = tempDir();
    children = [];
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    dir.remove();
  });

  const launch = (command: readonly string[], flags: readonly string[] = []) =>
    runCli(['trace', '--no-hub', '-q', ...flags, '--', ...command], { cwd: dir.path });

  /** A process to attach to, which does one thing for each line on its stdin. */
  function startTarget(program: string): ChildProcess {
    const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    return child;
  }

  /** Attached and past the seeding: the target's own EXEC event is in the file. */
  async function attach(pid: number, flags: readonly string[] = []): Promise<RunningCli & { readonly file: string }> {
    const file = dir.file('attached.jsonl');
    const cli = startCli(['trace', '--no-hub', '-q', '-o', file, ...flags, '-p', String(pid)]);
    children.push(cli.child);
    await waitFor('the target in the file', () => {
      if (cli.child.exitCode !== null) throw new Error(`trace ended: ${cli.stderr()}`);
      return readEvents(file).some((event) => event.pid === pid && event.data['existing'] === true);
    });
    return { ...cli, file };
  }

  it('without root: says what is missing and exits 3', async () => {
    // The checkout may lie where nobody cannot look; the product is then unreadable, not unprivileged.
    const readable = spawnSync(NOBODY[0] ?? '', [...NOBODY.slice(1), 'test', '-r', CLI]).status === 0;
    expect(readable, 'the checkout must be readable for other users').toBe(true);
    const result = await runCli(['trace', '--no-hub', '-p', String(process.pid)], { prefix: NOBODY, cwd: '/', env: { HOME: '/' } });
    expect(result.code).toBe(3);
    expect(result.stderr).toMatch(/could not .+: /);
    expect(result.stderr).toMatch(/hint: .*(sudo|CAP_BPF)/);
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });

  it('as root that may not load tracing programs: says so, and with -v what the kernel and libbpf said', async () => {
    const dropped = '-perfmon,-sys_admin';
    const prefix = ['setpriv', `--bounding-set=${dropped}`, `--inh-caps=${dropped}`];
    const command = ['--no-hub', '-q', '--', 'true'];
    const brief = await runCli(['trace', ...command], { prefix });
    expect(brief.code, brief.stderr).toBe(3);
    expect(brief.stderr).toMatch(/could not load the BPF programs: .*\n {2}hint: .*CAP_PERFMON.*\n {2}-v shows the details\n$/);
    const whole = await runCli(['trace', '-v', ...command], { prefix });
    expect(whole.code, whole.stderr).toBe(3);
    expect(whole.stderr).toMatch(/\n {2}\| libbpf: prog '\w+': .*failed.*\n/);
    expect(whole.stderr).not.toContain('-v shows the details');
  });

  it('a pid that does not exist: exit 5', async () => {
    const result = await runCli(['trace', '--no-hub', '-p', String(MAX_PID - 1)]);
    expect(result.code).toBe(5);
    expect(result.stderr).toContain(String(MAX_PID - 1));
  });

  it('a command that is not there: 127, with its name', async () => {
    const result = await launch(['no-such-command-anywhere']);
    expect(result.code).toBe(127);
    expect(result.stderr).toContain('no-such-command-anywhere');
  });

  it('a file that is no program: 126', async () => {
    const path = dir.file('plain.txt');
    writeFileSync(path, 'text\n');
    chmodSync(path, 0o644);
    expect((await launch([path])).code).toBe(126);
  });

  it('no target at all: usage, exit 2', async () => {
    const result = await runCli(['trace']);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('hint:');
  });

  it.each([[0], [1], [42], [255]])('exit code %i of the command is ours', async (code) => {
    expect((await launch(['sh', '-c', `exit ${code}`])).code).toBe(code);
  });

  it.each([['TERM', 143], ['KILL', 137]])('a command ended by SIG%s gives %i', async (signal, code) => {
    expect((await launch(['sh', '-c', `kill -${signal} $$`])).code).toBe(code);
  });

  it('the command has the terminal, the folder and the environment of the caller', async () => {
    const command = ['sh', '-c', 'pwd; echo "$E2E_MARK"; cat'];
    const result = await runCli(['trace', '--no-hub', '-q', '--', ...command], { cwd: dir.path, env: { E2E_MARK: 'kept' } });
    expect(result.stdout).toBe(`${dir.path}\nkept\n`);
  });

  it('attached, Ctrl-C: what was under way is in the file, one summary line, exit 0', async () => {
    const server = await startTlsServer(CERTIFICATE_PROGRAM);
    try {
      const target = startTarget(`
        const https = require('https'); const ca = require('fs').readFileSync(${JSON.stringify(server.certPath)});
        process.stdin.on('data', () => https.get('${server.url}/hello', { ca }, (r) => r.resume().on('end', () => console.log('done'))));`);
      const cli = await attach(target.pid ?? 0);
      target.stdin?.write('go\n');
      if (target.stdout === null) throw new Error('no stdout');
      await once(target.stdout, 'data');
      const result = await cli.interrupt();
      expect(result.code, result.stderr).toBe(0);
      expect(result.stderr.match(/^.*traced for .*$/gm)).toHaveLength(1);
      expect(result.stderr).toContain('nothing lost');
      expect(ofSource(readEvents(cli.file), 'http').map(({ data }) => data['url'])).toEqual([`${server.url}/hello`]);
      expect(target.exitCode).toBeNull();
    } finally {
      await server.close();
    }
  });

  it.each(['SIGTERM', 'SIGHUP'] as const)('attached, %s: drains and ends as after Ctrl-C', async (signal) => {
    const target = startTarget('process.stdin.on("data", (line) => process.stdout.write(line))');
    const cli = await attach(target.pid ?? 0);
    target.stdin?.write('last words\n');
    if (target.stdout === null) throw new Error('no stdout');
    await once(target.stdout, 'data');
    cli.child.kill(signal);
    const result = await cli.result;
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr.match(/^.*traced for .*$/gm)).toHaveLength(1);
    expect(ofSource(readEvents(cli.file), 'stdio').map(({ data }) => data['payload'])).toContain('last words\n');
  });

  it('attached: children of the target are followed, strangers are not', async () => {
    const target = startTarget('process.stdin.on("data", () => { require("child_process").execFileSync("true", ["followed-mark"]); console.log("done") })');
    const cli = await attach(target.pid ?? 0);
    execFileSync('true', ['stranger-mark']);
    target.stdin?.write('go\n');
    if (target.stdout === null) throw new Error('no stdout');
    await once(target.stdout, 'data');
    await cli.interrupt();
    const commands = readEvents(cli.file).map(({ data }) => JSON.stringify(data['argv'] ?? []));
    expect(commands.some((words) => words.includes('followed-mark'))).toBe(true);
    expect(commands.some((words) => words.includes('stranger-mark'))).toBe(false);
  });

  it('the target ends: the trace ends too, exit 0', async () => {
    const target = startTarget('process.stdin.on("end", () => {}).resume()');
    const cli = await attach(target.pid ?? 0);
    target.stdin?.end();
    const result = await cli.result;
    expect(result.code, result.stderr).toBe(0);
    expect(readEvents(cli.file).filter(({ data }) => data['event'] === 'EXIT')).toHaveLength(1);
  });

  it('a target without TLS: said at the end, with the reason', async () => {
    const target = spawn('sleep', ['1000']);
    children.push(target);
    const cli = await attach(target.pid ?? 0);
    const result = await cli.interrupt();
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/TLS/);
  });

  it('disk full while logging: said once, counted, and every line that is there is whole', async () => {
    const mount = dir.file('small');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', mount]);
    try {
      const file = `${mount}/trace.jsonl`;
      const flood = 'i=0; while [ $i -lt 12000 ]; do echo "line number $i of a text that fills the disk"; i=$((i+1)); done';
      const result = await launch(['sh', '-c', flood], ['-o', file]);
      expect(result.code, result.stderr).toBe(0);
      expect(result.stderr.match(/ENOSPC|no space left/gi)).toHaveLength(1);
      expect(result.stderr).toMatch(/LOST: .*file/);
      const text = readFileSync(file, 'utf8');
      expect(parseEvents(text.slice(0, text.lastIndexOf('\n') + 1)).length).toBeGreaterThan(100);
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });

  it('an output file that cannot be written: before anything is started', async () => {
    const result = await launch(['sh', '-c', 'echo started'], ['-o', '/proc/no/such/file']);
    expect(result.code).toBe(125);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(/could not .*\/proc\/no\/such\/file/);
  });

  it('a link in the place of the output file is not followed', async () => {
    const victim = dir.file('victim');
    writeFileSync(victim, 'untouched');
    execFileSync('ln', ['-s', victim, dir.file('link.jsonl')]);
    await launch(['true'], ['-o', dir.file('link.jsonl')]);
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
  });

  it('two traces at once do not disturb each other', async () => {
    const files = [dir.file('one.jsonl'), dir.file('two.jsonl')];
    const results = await Promise.all(files.map((file) =>
      runCli(['trace', '--no-hub', '-q', '-o', file, '--', programPath('crowd.sh'), '50'])));
    for (const result of results) expect(result.code, result.stderr).toBe(0);
    const sessions = files.map((file) => new Set(readEvents(file).filter(({ pid }) => pid !== 0).map(({ session }) => session)));
    expect(sessions.map((set) => set.size)).toEqual([1, 1]);
    expect([...(sessions[0] ?? [])]).not.toEqual([...(sessions[1] ?? [])]);
  });
});
