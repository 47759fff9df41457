/** `npm start` in a checkout that is built: the traced demo with its page, and the program with arguments. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ApiEvent } from '../../src/hub/api.ts';
import { errnoOf } from '../../src/errors.ts';
import { startScript } from '../helpers/cli.ts';
import { ROOT, tempDir, type TempDir } from '../helpers/files.ts';
import { getAll, readHubFacts, type HubFacts } from '../helpers/hub.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

/** Set-up may have to build what changed since, and waits where another one is at it. */
const START_DEADLINE_MS = 300_000;
/** Two turns: look and correct, then the answer; ask the notes, write, then the answer. */
const MODEL_CALLS = 5;

describeKernel('npm start', () => {
  let dir: TempDir;
  let env: Record<string, string>;
  beforeEach(() => {
    dir = tempDir();
    mkdirSync(dir.file('tmp'));
    // TMPDIR: what the demo leaves in it is seen, and every process of this run is known by it.
    env = { AGENTSIGHT_DATA_DIR: dir.file('data'), AGENTSIGHT_PORT: '0', TMPDIR: dir.file('tmp') };
  });
  afterEach(() => {
    for (const pid of processesOf(dir.path)) process.kill(pid, 'SIGKILL');
    dir.remove();
  });

  function facts(): HubFacts {
    return readHubFacts(dir.file('data')) ?? expect.fail('there is no hub.json');
  }

  const stored = (source: string): Promise<ApiEvent[]> => getAll<ApiEvent>(facts(), `/events?source=${source}&limit=1000`);

  it('traces the demo agent, serves its page until Ctrl-C, and leaves nothing behind', async () => {
    const start = startScript(join(ROOT, 'src/setup/start.mjs'), [], { env, deadlineMs: START_DEADLINE_MS });
    await waitFor('the address of the page, after the run', () => {
      if (start.child.exitCode !== null) expect.fail(`npm start ended with ${start.child.exitCode}:\n${start.stderr()}`);
      return start.stderr().includes('the page stays up');
    }, START_DEADLINE_MS);
    const [page = ''] = /http:\S+/.exec(start.stderr().split('the page stays up')[1] ?? '') ?? [];
    expect(page).toBe(facts().url);
    expect(await (await fetch(page)).text()).toContain('<!doctype html>');

    await waitFor('the calls of the model in the store', async () => (await stored('http')).length >= MODEL_CALLS);
    const calls = await stored('http');
    expect(calls.map(({ data }) => [data['role'], data['method'], data['path'], data['status'], data['state']])).toEqual(
      // Of the model's API only the agent's end is traced.
      Array.from({ length: MODEL_CALLS }, () => ['client', 'POST', '/v1/messages', 200, 'complete']),
    );
    const programs = (await stored('process')).filter(({ data }) => data['event'] === 'EXEC').map(({ data }) => (data['argv'] as string[]).join(' '));
    expect(programs).toContain('bash -c ls -la && wc -l *.md && grep -n recieve README.md');
    const written = (await stored('file')).map(({ data }) => String(data['path']));
    expect(written.some((path) => path.endsWith('/README.md')), written.join('\n')).toBe(true);
    const asked = (await stored('mcp')).map(({ data }) => data['method']);
    expect(asked).toEqual(['initialize', 'notifications/initialized', 'tools/list', 'tools/call']);

    const ended = await start.interrupt();
    expect(ended.code, ended.stderr).toBe(0);
    await waitFor('the last process to end', () => processesOf(dir.path).length === 0);
    expect(readHubFacts(dir.file('data'))).toBeUndefined();
    expect(readdirSync(dir.file('tmp'))).toEqual([]);
  });

  it('with arguments is the program: they arrive as they were, and its exit code is ours', async () => {
    const script = 'printf "<%s>" "$@"; exit 7';
    const args = ['start', '--silent', '--', 'trace', '--no-hub', '-q', '--', 'sh', '-c', script, 'sh', 'two words', '$HOME', '--serve'];
    const result = await new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resolve) => {
      execFile('npm', args, { cwd: ROOT, env: { ...process.env, ...env }, timeout: START_DEADLINE_MS }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : error.code, stdout, stderr });
      });
    });
    expect(result, result.stderr).toMatchObject({ code: 7, stdout: '<two words><$HOME><--serve>' });
    expect(result.stderr).toContain('nothing lost');
  });
});

/** Processes with this folder in their environment or on their command line. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc').map(Number).filter((pid) => pid > 0 && pid !== process.pid).filter((pid) => {
    try {
      return ['environ', 'cmdline'].some((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1').includes(folder));
    } catch (error) {
      // It ended meanwhile, or is one that even root here may not look into: nothing of ours.
      if (!['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
      return false;
    }
  });
}
