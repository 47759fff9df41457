/** What the doctor says of the machine that runs the tests, through the built command. */
import { execFileSync, spawn } from 'node:child_process';
import { release } from 'node:os';
import { expect, it } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { programPath, tempDir } from '../helpers/files.ts';
import { endChild } from '../helpers/live-capture.ts';
import { startRawTlsServer } from '../helpers/raw-tls-server.ts';

interface Report {
  readonly works: boolean;
  readonly checks: readonly { readonly name: string; readonly status: string; readonly text: string; readonly fix: string | null }[];
}

describeKernel('the doctor', () => {
  async function examine(args: readonly string[], prefix: readonly string[] = []) {
    const dir = tempDir();
    try {
      const { code, stdout, stderr } = await runCli(['doctor', '--json', '--port', '0', '--data-dir', dir.file('data'), ...args], { prefix });
      const { works, checks } = JSON.parse(stdout) as Report;
      return { code, stderr, works, status: new Map(checks.map((check) => [check.name, check])) };
    } finally {
      dir.remove();
    }
  }

  it('loads every family of programs, sets a probe, and finds that tracing works', async () => {
    const { code, works, status, stderr } = await examine(['-p', String(process.pid)]);
    expect(stderr).toBe('');
    for (const name of ['privilege', 'kernel', 'programs: process', 'programs: file', 'programs: stdio', 'programs: net', 'programs: tls', 'rings', 'probe', 'data', 'page']) {
      expect(status.get(name), name).toMatchObject({ status: 'ok' });
    }
    // What a kernel lacks has something that stands in: it is named, and tracing works all the same.
    const [major = 0, minor = 0] = release().split('.').map(Number);
    const has = (inMinor: number): string => (major > 6 || (major === 6 && minor >= inMinor) ? 'ok' : 'note');
    expect(status.get('endpoints')).toMatchObject({ status: has(3) });
    expect(status.get('uprobe links')).toMatchObject({ status: has(6) });
    expect(status.get(`pid ${process.pid}`)?.text).toContain(process.execPath);
    expect([code, works]).toEqual([0, true]);
  });

  it('watches a process, and says what passes and what is not seen', async () => {
    const server = await startRawTlsServer(Buffer.from('x'));
    const folder = tempDir();
    const libraries = ['-l:libmbedtls.a', '-l:libmbedx509.a', '-l:libmbedcrypto.a'];
    execFileSync('cc', ['-O2', '-s', '-o', folder.file('unknown'), programPath('mbedtls-get.c'), ...libraries], { stdio: 'ignore' });
    const loop = (words: string): ReturnType<typeof spawn> => spawn('sh', ['-c', `while :; do ${words} >/dev/null 2>&1; done`], { stdio: 'ignore' });
    const unknown = loop(`${folder.file('unknown')} ${server.port} a.example.test`);
    try {
      const { status } = await examine(['-p', String(unknown.pid)]);
      expect(status.get(`pid ${unknown.pid}: seen`)).toMatchObject({
        status: 'missing', text: expect.stringMatching(/unknown: speaks TLS to (a\.example\.test|127\.0\.0\.1:\d+) by a library that was not recognised/),
      });
    } finally {
      await endChild(unknown);
      await server.close();
      folder.remove();
    }
  });

  it('ends with 3 and names the command where the privilege is missing', async () => {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
    const { code, works, status } = await examine([], nobody);
    expect(status.get('privilege')).toMatchObject({ status: 'missing', fix: 'sudo agentsight-ts doctor' });
    expect([code, works]).toEqual([3, false]);
  });

  it('ends with 5 where the target is not there', async () => {
    const { code, status } = await examine(['--pid', '4194304']);
    expect(status.get('pid 4194304')).toMatchObject({ status: 'missing', text: 'there is no such process' });
    expect(code).toBe(5);
  });
});
