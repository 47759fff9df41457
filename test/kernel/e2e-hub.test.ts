/** A trace with its hub: what is in the file is in the store, once, even when the hub is killed meanwhile. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { ApiEvent, Session } from '../../src/hub/api.ts';
import { LIMITS } from '../../src/limits.ts';
import { ofSource, readEvents, runCli, startCli } from '../helpers/cli.ts';
import { programPath } from '../helpers/files.ts';
import { getAll, readHubFacts } from '../helpers/hub.ts';
import { hubFolderPerTest } from '../helpers/hub-folder.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

const STORED_DEADLINE_MS = 120_000;

describeKernel('trace with a hub', () => {
  const folder = hubFolderPerTest();

  const flags = (file: string): string[] => ['trace', '-q', '--data-dir', folder.dataDir, '--server-port', '0', '-o', file];
  const idsInStore = async (): Promise<string[]> => (await getAll<ApiEvent>(folder.facts(), '/events?limit=5000')).map(({ id }) => id);
  const idsInFile = (file: string): string[] => readEvents(file).map(({ id }) => id);

  it('stores what it wrote into the file: every event, once', async () => {
    const file = folder.dir.file('trace.jsonl');
    const result = await runCli([...flags(file), '--', programPath('forktree.sh')]);
    expect(result.code, result.stderr).toBe(9);
    expect((await idsInStore()).sort()).toEqual(idsInFile(file).sort());
    const sessions = await getAll<Session>(folder.facts(), '/sessions');
    expect(sessions).toMatchObject([{ exit_code: 9, command: [expect.stringContaining('sh'), programPath('forktree.sh')] }]);
  });

  it('calls a session by the command that began it, launched or attached to, though a shell becomes its last program', async () => {
    const script = 'ls / > /dev/null; cat > /dev/null; exec -a later sleep 0';
    const launched = await runCli([...flags(folder.dir.file('launched.jsonl')), '--', 'bash', '-c', script]);
    expect(launched.code, launched.stderr).toBe(0);
    const shell = spawn('bash', ['-c', script], { stdio: ['pipe', 'ignore', 'inherit'] });
    const file = folder.dir.file('attached.jsonl');
    const trace = startCli([...flags(file), '-p', String(shell.pid)]);
    try {
      await waitFor('the shell in the file', () => readEvents(file).some(({ pid }) => pid === shell.pid));
      shell.stdin.end();
      const attached = await trace.result;
      expect(attached.code, attached.stderr).toBe(0);
    } finally {
      shell.kill('SIGKILL');
      trace.child.kill('SIGKILL');
    }
    const programs = ofSource(readEvents(file), 'process').filter(({ pid, data }) => pid === shell.pid && data['event'] === 'EXEC');
    expect(programs.map(({ data }) => data['argv'])).toEqual([['bash', '-c', script], ['later', '0']]);
    const sessions = await getAll<Session>(folder.facts(), '/sessions');
    expect(sessions.map(({ command, comm }) => [comm, ...command])).toEqual([['bash', 'bash', '-c', script], ['bash', 'bash', '-c', script]]);
  });

  it('a second trace joins the hub of the first', async () => {
    expect((await runCli([...flags(folder.dir.file('one.jsonl')), '--', 'true'])).code).toBe(0);
    const first = folder.facts().pid;
    expect((await runCli([...flags(folder.dir.file('two.jsonl')), '--', 'true'])).code).toBe(0);
    expect(folder.facts().pid).toBe(first);
    expect(await getAll<Session>(folder.facts(), '/sessions')).toHaveLength(2);
  });

  it('hub killed while tracing: the capture goes on and everything is stored once', async () => {
    const file = folder.dir.file('trace.jsonl');
    const done = folder.dir.file('done');
    const lines = `i=0; while [ ! -e ${done} ]; do echo "line $i"; /bin/sleep 0.05; i=$((i+1)); done`;
    const trace = startCli([...flags(file), '--', 'sh', '-c', lines]);
    await waitFor('lines in the file', () => ofSource(readEvents(file), 'stdio').length > 10);
    const killed = folder.facts().pid;
    process.kill(killed, 'SIGKILL');
    const before = idsInFile(file).length;
    // Where a trace ends before its hub is back, the next one delivers: that is the next test.
    await waitFor('a new hub to store what came since', async () => {
      const hub = readHubFacts(folder.dataDir);
      return hub !== undefined && hub.pid !== killed && (await idsInStore().catch(() => [])).length > before;
    }, STORED_DEADLINE_MS);
    writeFileSync(done, '');
    const result = await trace.result;
    expect(result.code, result.stderr).toBe(0);
    const written = ofSource(readEvents(file), 'stdio').map(({ data }) => data['payload']);
    expect(written).toEqual(written.map((_, line) => `line ${line}\n`));
    expect((await idsInStore()).sort()).toEqual(idsInFile(file).sort());
  });

  it('hub killed for good: the next trace delivers what the first could not', async () => {
    const file = folder.dir.file('first.jsonl');
    const lines = 'i=0; while [ $i -lt 20 ]; do echo "line $i"; /bin/sleep 0.05; i=$((i+1)); done';
    const first = startCli([...flags(file), '--', 'sh', '-c', lines]);
    await waitFor('lines in the file', () => ofSource(readEvents(file), 'stdio').length > 3);
    process.kill(folder.facts().pid, 'SIGKILL');
    expect((await first.result).code).toBe(0);
    const second = folder.dir.file('second.jsonl');
    expect((await runCli([...flags(second), '--', 'true'])).code).toBe(0);
    const expected = [...idsInFile(file), ...idsInFile(second)].sort();
    await waitFor('both traces in the store', async () => (await idsInStore().catch(() => [])).length >= expected.length, STORED_DEADLINE_MS);
    expect((await idsInStore()).sort()).toEqual(expected);
  });

  it('a second Ctrl-C leaves at once, though a hub that hangs holds up the end', async () => {
    const file = folder.dir.file('trace.jsonl');
    const target = spawn(process.execPath, ['-e', 'process.stdin.pipe(process.stdout)'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const trace = startCli([...flags(file), '-p', String(target.pid)]);
    try {
      await waitFor('the target in the file', () => readEvents(file).some(({ pid }) => pid === target.pid));
      const hub = folder.facts().pid;
      process.kill(hub, 'SIGSTOP');
      try {
        target.stdin.write('not acknowledged\n');
        await waitFor('the line in the file', () => ofSource(readEvents(file), 'stdio').length > 0);
        const started = performance.now();
        // One that follows within half a second is taken for the same.
        await waitFor('the end', () => trace.child.exitCode !== null || (trace.child.kill('SIGINT'), false), LIMITS.linkCloseMs);
        expect(performance.now() - started).toBeLessThan(LIMITS.linkCloseMs / 2);
      } finally {
        process.kill(hub, 'SIGCONT');
      }
      const result = await trace.result;
      expect(result.code, result.stderr).toBe(130);
      expect(result.stderr).not.toContain('traced for');
    } finally {
      target.kill('SIGKILL');
      trace.child.kill('SIGKILL');
    }
  });
});
