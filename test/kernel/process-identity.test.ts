/** Who a process is: one and the same through sessions and dead parents, another one when its pid comes again. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ProcessEvent } from '../../src/event.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, processEvents, startCapture, stdioEvents, type RunningCapture } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

/** As long as the test needs to let the daemon go on. */
const GRACE_MS = 60_000;

let folder: TempDir;
beforeEach(() => {
  folder = tempDir();
});
afterEach(() => folder.remove());

const exits = ({ events }: RunningCapture): ProcessEvent[] => processEvents(events).filter(({ data }) => data.event === 'EXIT');
const programs = (events: readonly ProcessEvent[]): ProcessEvent[] => events.filter(({ data }) => data.event === 'EXEC');

describeKernel('a process stays in the tree that it is from', () => {
  /** Waits until it is told, by when whoever started it is gone. */
  const WORK = 'read go; echo from afar; /bin/true; exit 5';
  test.each([
    ['in a session of its own', (fifo: string) => `setsid sh -c '${WORK}' < ${fifo} & exit 0`],
    ['as a daemon: of two forks, in a session of its own, its parents gone', (fifo: string) => `setsid sh -c "(sh -c '${WORK}' < ${fifo} &) ; exit 0"; exit 0`],
  ])('%s', { timeout: 120_000 }, async (_name, script) => {
    const fifo = folder.file('go');
    execFileSync('mkfifo', [fifo]);
    const run = startCapture({ launch: command('sh', ['-c', script(fifo)]), descendantGraceMs: GRACE_MS });
    try {
      const root = await waitFor('the root to end', () => exits(run).find(({ process, session }) => process === session));
      writeFileSync(fifo, 'go\n');
      await run.done;
      const all = processEvents(run.events);
      expect(new Set(all.map(({ session }) => session))).toEqual(new Set([root.session]));
      const [worker] = exits(run).filter(({ data }) => data.event === 'EXIT' && data.exit_code === 5);
      const child = programs(all).find(({ data }) => data.event === 'EXEC' && data.argv[0] === '/bin/true');
      expect(child?.data).toMatchObject({ parent: worker?.process });
      expect(child?.timestamp ?? 0n).toBeGreaterThan(root.timestamp);
      expect(stdioEvents(run.events).filter(({ data }) => Buffer.from(data.payload).toString() === 'from afar\n')).toMatchObject([
        { process: worker?.process, session: root.session },
      ]);
    } finally {
      for (const { pid, process: key } of programs(processEvents(run.events))) {
        if (!exits(run).some((exit) => exit.process === key)) process.kill(pid, 'SIGKILL');
      }
      await run.runner.stop();
    }
  });
});

describeKernel('a pid that comes again', () => {
  test('is another process: of each its own program and its own end', async () => {
    execFileSync('cc', ['-O2', '-o', folder.file('same-pid'), programPath('same-pid.c')]);
    const run = await captureCommand(command(folder.file('same-pid'), []));
    expect(await run.runner.exit).toMatchObject({ exitCode: 0 });
    const all = processEvents(run.events);
    const [second] = exits(run).filter(({ data }) => data.event === 'EXIT' && data.exit_code === 4);
    // Two processors may have seen them: their records come in turns, and their times tell the order.
    const samePid = all.filter(({ pid }) => pid === second?.pid).toSorted((a, b) => Number(a.timestamp - b.timestamp));
    const story = samePid.map(({ data, process }) => [process === second?.process ? 'second' : 'first', data.event, data.event === 'EXIT' ? data.exit_code : null]);
    expect(story).toEqual([
      ['first', 'FORK', null], ['first', 'EXEC', null], ['first', 'EXIT', 3],
      ['second', 'FORK', null], ['second', 'EXEC', null], ['second', 'EXIT', 4],
    ]);
    expect(new Set(samePid.map(({ process }) => process)).size).toBe(2);
    expect(new Set(samePid.map(({ session }) => session)).size).toBe(1);
  });
});
