/** Processor time and memory of a program that is known to use both, under `trace`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { endChild } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

const HELD_BYTES = 64 << 20;
/** Holds memory, and has a child that does nothing but run, until its standard input ends. */
const PROGRAM = `
import os, sys
held = bytearray(b'x') * ${HELD_BYTES}
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent: pass
    os._exit(0)
print(1, flush=True)
sys.stdin.read()
`;

interface Line {
  readonly source: string;
  readonly pid: number;
  readonly data: Readonly<Record<string, number>> & { readonly event: string; readonly over: readonly string[] };
}

describeKernel('source system', () => {
  let program: ChildProcess | null = null;
  afterEach(async () => {
    if (program !== null) await endChild(program);
  });

  it('tells what each process and their tree use, and warns once of each threshold', async () => {
    const child = spawn('/usr/bin/python3', ['-S', '-c', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
    program = child;
    await once(child.stdout, 'data');
    const run = startCli([
      'trace', '-p', String(child.pid), '--no-hub', '--json', '--source', 'system,process', '--interval', '100ms', '--cpu-threshold', '1', '--memory-threshold', '32M',
    ]);
    const lines = (): readonly Line[] => run.stdout().split('\n').slice(0, -1).map((line) => JSON.parse(line) as Line);
    const samples = (event: string): readonly Line[] => lines().filter(({ source, data }) => source === 'system' && data.event === event);
    await waitFor('five samples of the tree', () => samples('TREE').length >= 5);
    child.stdin.end();
    const { code, stderr } = await run.result;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('nothing lost');

    const trees = samples('TREE');
    for (const { pid, data } of trees) {
      expect(pid).toBe(child.pid);
      expect(data['rss_bytes']).toBeGreaterThan(HELD_BYTES);
      expect(data.over).toContain('memory');
    }
    expect(trees.some(({ data }) => data['processes'] === 2 && data.over.includes('cpu'))).toBe(true);
    for (const threshold of ['--cpu-threshold', '--memory-threshold']) {
      expect(stderr).toMatch(new RegExp(`warning: pid ${child.pid} python3 and 1 more below it (used|had) .*, over ${threshold}`));
    }
    expect(stderr.split('over --memory-threshold')).toHaveLength(2);

    const exit = lines().find(({ source, pid, data }) => source === 'process' && data.event === 'EXIT' && pid !== child.pid);
    const ofRunner = samples('PROCESS').filter(({ pid }) => pid === exit?.pid);
    const measuredMs = ofRunner.reduce((sum, { data }) => sum + (data['user_ms'] ?? 0) + (data['system_ms'] ?? 0), 0);
    expect(measuredMs).toBeGreaterThan(0);
    // Ticks of 10 ms here, nanoseconds there.
    expect(measuredMs).toBeLessThanOrEqual((exit?.data['user_ms'] ?? 0) + (exit?.data['system_ms'] ?? 0) + 20);
  });
});
