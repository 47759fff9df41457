/** Kernels, targets, peers and disks that do not do what they should, as the user of `trace` meets them. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, readEvents, runCli, startCli, type CliResult, type RunningCli } from '../helpers/cli.ts';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { startTlsServer } from '../programs/tls-server.ts';

/** The kernel's types are gone from sight, for this program alone. */
const WITHOUT_BTF = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"'];
const CURL_ABORTED = 28;
/** Says which child it had, and never waits for it. */
const FORGETFUL_PARENT = 'import os, time\npid = os.fork()\nif pid == 0: os._exit(0)\nprint(pid, flush=True)\ntime.sleep(1000)';

describeKernel('trace: bad input and faults', () => {
  let dir: TempDir;
  let file: string;
  let children: ChildProcess[];
  let mounts: string[];
  beforeEach(() => {
    dir = tempDir();
    file = dir.file('trace.jsonl');
    children = [];
    mounts = [];
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    for (const mount of mounts) execFileSync('umount', ['-l', mount]);
    dir.remove();
  });

  const launch = (command: readonly string[], flags: readonly string[] = []): Promise<CliResult> =>
    runCli(['trace', '--no-hub', '-q', '-o', file, ...flags, '--', ...command], { cwd: dir.path });

  /** A target that echoes, traced into a file on a disk of its own that is full. */
  async function traceOntoFullDisk(): Promise<{ readonly target: ChildProcess; readonly cli: RunningCli; readonly path: string; readonly filler: string }> {
    const mount = dir.file('small');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'none', mount]);
    mounts.push(mount);
    const path = `${mount}/trace.jsonl`;
    const filler = `${mount}/filler`;
    const target = spawn(process.execPath, ['-e', 'process.stdin.pipe(process.stdout)'], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(target);
    const cli = startCli(['trace', '--no-hub', '-q', '-o', path, '-p', String(target.pid)]);
    children.push(cli.child);
    await waitFor('the target in the file', () => readEvents(path).some(({ pid }) => pid === target.pid));
    expect(() => execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'], { stdio: 'ignore' })).toThrow();
    target.stdin?.write(`${'x'.repeat(20_000)}\n`);
    await cli.said(/no space left/);
    return { target, cli, path, filler };
  }

  it.each([
    [['trace', '--no-hub', '--', 'sh', '-c', 'echo started']],
    [['trace', '--no-hub', '-p', String(process.pid)]],
  ])('no BTF: exit 4, with what to do: %j', async (args) => {
    const result = await runCli(args, { prefix: WITHOUT_BTF });
    expect(result).toMatchObject({ code: 4, stdout: '' });
    expect(result.stderr).toMatch(/could not read \/sys\/kernel\/btf\/vmlinux: .*\n {2}hint: .*CONFIG_DEBUG_INFO_BTF/);
  });

  it('no BTF: doctor says it, with the code of the trace', async () => {
    const result = await runCli(['doctor'], { prefix: WITHOUT_BTF });
    expect(result.code).toBe(4);
    expect(result.stdout).toMatch(/✗ kernel .*btf/);
    expect(result.stdout).toMatch(/fix: .*CONFIG_DEBUG_INFO_BTF/);
  });

  it('a pid that has ended and was not waited for: exit 5, at once', async () => {
    const parent = spawn('/usr/bin/python3', ['-c', FORGETFUL_PARENT], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(parent);
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = line.toString().trim();
    await waitFor('its end', () => /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
    const result = await runCli(['trace', '--no-hub', '-p', pid]);
    expect(result.code).toBe(5);
    expect(result.stderr).toContain(`could not trace process ${pid}`);
  });

  it('a client that ended before its libraries could be looked at has a TLS library all the same', async () => {
    const result = await launch(['curl', '-sk', 'https://127.0.0.1:1/']);
    expect(result.code).toBe(7);
    expect(result.stderr).toMatch(/no TLS plaintext: pid \d+ curl: its TLS library is hooked, but no TLS read or write succeeded/);
  });

  it('an event stream that is cut: what came is there, and that it was cut', async () => {
    const server = await startTlsServer(CERTIFICATE_PROGRAM);
    try {
      const result = await launch(['curl', '-sS', '-m', '5', '--cacert', server.certPath, `${server.url}/slow`]);
      expect(result.code, result.stderr).toBe(CURL_ABORTED);
      const events = readEvents(file);
      expect(ofSource(events, 'http').map(({ data }) => data)).toMatchObject([
        { method: 'GET', path: '/slow', status: 200, state: 'aborted', sse_events: 1 },
      ]);
      expect(ofSource(events, 'sse')).toHaveLength(1);
    } finally {
      await server.close();
    }
  });

  it('noise on a TLS connection: no exchange of it, and the next connection is read', async () => {
    const server = await startTlsServer(CERTIFICATE_PROGRAM);
    try {
      const noise = `head -c 50000 /dev/urandom | openssl s_client -quiet -connect localhost:${server.port} >/dev/null 2>&1`;
      const result = await launch(['sh', '-c', `${noise}; curl -sS --cacert ${server.certPath} ${server.url}/hello`]);
      expect(result, result.stderr).toMatchObject({ code: 0, stdout: 'hello\n' });
      expect(ofSource(readEvents(file), 'http').map(({ comm, data }) => [comm, data['url'], data['state']])).toEqual([
        ['curl', `${server.url}/hello`, 'complete'],
      ]);
    } finally {
      await server.close();
    }
  });

  it('disk full, then not any more: said once each, and nothing is missing', async () => {
    const { target, cli, path, filler } = await traceOntoFullDisk();
    target.stdin?.write('while it is full\n');
    rmSync(filler);
    await cli.said(/writing to .* again; 0 events were lost/);
    target.stdin?.write('after that\n');
    await waitFor('the last words', () => readFileSync(path, 'utf8').includes('after that'));
    const result = await cli.interrupt();
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('nothing lost');
    expect(result.stderr.match(/no space left/g)).toHaveLength(1);
    const written = ofSource(readEvents(path), 'stdio').filter(({ data }) => data['role'] === 'stdout').map(({ data }) => String(data['payload'])).join('');
    expect(written).toBe(`${'x'.repeat(20_000)}\nwhile it is full\nafter that\n`);
  });

  it('Ctrl-C while the disk is full: ends at once, and what could not be written is counted', async () => {
    const { cli } = await traceOntoFullDisk();
    const result = await cli.interrupt();
    expect(result.code, result.stderr).toBe(0);
    const lost = /could not write the last (\d+) events/.exec(result.stderr)?.[1];
    expect(result.stderr).toContain(`LOST: ${lost} events were refused by file`);
  });

  it('replay: a line cut in half and one of garbage are named, and the rest goes on', async () => {
    const traced = await launch(['sh', '-c', 'echo one; echo two; /bin/true']);
    expect(traced.code, traced.stderr).toBe(0);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const [first = '', second = '', ...rest] = lines;
    const garbage = Buffer.from(Array.from({ length: 300 }, (_, index) => (index % 256 === 10 ? 0 : index % 256)));
    const cut = dir.file('cut.jsonl');
    writeFileSync(cut, Buffer.concat([
      Buffer.from(`${first}\n${second.slice(0, second.length / 2)}\n`), garbage, Buffer.from(`\n${rest.join('\n')}\n`),
    ]));
    const result = await runCli(['replay', '--json', cut]);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr.match(/line \d+ of/g)).toEqual(['line 2 of', 'line 3 of']);
    expect(result.stderr).toContain('LOST: 2 lines of the capture could not be read');
    expect(result.stdout.trimEnd().split('\n').map((line) => (JSON.parse(line) as { id: string }).id))
      .toEqual([first, ...rest].map((line) => (JSON.parse(line) as { id: string }).id));
  });
});
