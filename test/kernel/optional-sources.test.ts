/** Signals, lines of a shell and the use of io_uring, of programs that do known things. */
import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Event, ProbeEvent, ReadlineEvent, SignalEvent } from '../../src/event.ts';
import { checkTarget } from '../../src/doctor/target.ts';
import { hasIoUring } from '../../src/runners/open-ends.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, endChild, processEvents, startCapture } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

let dir: TempDir;
beforeAll(() => {
  dir = tempDir();
});
afterAll(() => dir.remove());

const PYTHON = ['-S', '-c'] as const;
const signalsOf = (events: readonly Event[]): SignalEvent[] => events.filter((event) => event.source === 'signal');
const linesOf = (events: readonly Event[]): ReadlineEvent[] => events.filter((event) => event.source === 'readline');
const probesOf = (events: readonly Event[]): ProbeEvent[] => events.filter((event) => event.source === 'probe');

describeKernel('signals', () => {
  test('that a program sends have sender, target and outcome', async () => {
    const program = [
      'import os, signal, sys, threading',
      'signal.signal(signal.SIGUSR1, signal.SIG_IGN)',
      'child = os.fork()',
      'if child == 0: signal.pause()',
      'os.kill(os.getpid(), signal.SIGUSR1)',
      'signal.pidfd_send_signal(os.pidfd_open(child), signal.SIGWINCH)',
      'os.kill(child, 0)',
      'os.kill(child, signal.SIGTERM)',
      'os.waitpid(child, 0)',
      'for pid, number in ((child, signal.SIGHUP), (child, 0)):',
      '    try: os.kill(pid, number)',
      '    except ProcessLookupError: pass',
    ].join('\n');
    const run = await captureCommand(command('/usr/bin/python3', [...PYTHON, program]), { families: ['process', 'signal'] });
    expect((await run.runner.exit)?.exitCode).toBe(0);
    const [root, fork] = [processEvents(run.events).find(({ data }) => data.event === 'EXEC'), processEvents(run.events).find(({ data }) => data.event === 'FORK')];
    const sent = { sent_by: 'process', sender_pid: root?.pid, sender: root?.process, sender_comm: root?.comm };
    expect(signalsOf(run.events).map(({ data }) => data)).toEqual([
      { ...sent, signal: 'SIGUSR1', number: 10, target_pid: root?.pid, target: root?.process, target_comm: root?.comm, outcome: 'ignored', error: null },
      { ...sent, signal: 'SIGWINCH', number: 28, target_pid: fork?.pid, target: fork?.process, target_comm: root?.comm, outcome: 'ignored', error: null },
      { ...sent, signal: 'SIGTERM', number: 15, target_pid: fork?.pid, target: fork?.process, target_comm: root?.comm, outcome: 'delivered', error: null },
      { ...sent, signal: 'SIGHUP', number: 1, target_pid: fork?.pid, target: null, target_comm: '', outcome: 'failed', error: 'ESRCH' },
    ]);
    for (const event of signalsOf(run.events)) expect(event).toMatchObject({ pid: root?.pid, process: root?.process, session: root?.process });
  });

  test('of the kernel, and of a process that is not traced, are told of their target', async () => {
    const program = [
      'import os, signal',
      'signal.signal(signal.SIGUSR2, lambda *_: None)',
      'signal.signal(signal.SIGPIPE, signal.SIG_IGN)',
      'signal.pause()',
      'r, w = os.pipe(); os.close(r)',
      'try: os.write(w, b"x")',
      'except BrokenPipeError: pass',
      'os.abort()',
    ].join('\n');
    const child = spawn('/usr/bin/python3', [...PYTHON, program], { stdio: 'ignore' });
    try {
      const run = startCapture({ pids: [child.pid ?? 0], families: ['process', 'signal'] });
      await run.ready;
      // Until it waits for it, the signal would end it.
      await waitFor('the program to wait', () => readSyscall(child.pid ?? 0) === PAUSE);
      process.kill(child.pid ?? 0, 'SIGUSR2');
      await run.done;
      expect(signalsOf(run.events).map(({ pid, data }) => [pid, data.signal, data.sent_by, data.sender_pid, data.target_pid, data.outcome])).toEqual([
        [child.pid, 'SIGUSR2', 'process', process.pid, child.pid, 'delivered'],
        [child.pid, 'SIGPIPE', 'kernel', null, child.pid, 'ignored'],
        [child.pid, 'SIGABRT', 'process', child.pid, child.pid, 'delivered'],
      ]);
    } finally {
      await endChild(child);
    }
  });
});

/** The system call that a process waits in, by number. */
const PAUSE = process.arch === 'x64' ? 34 : 73;
function readSyscall(pid: number): number {
  return Number.parseInt(readFileSync(`/proc/${pid}/syscall`, 'utf8'), 10);
}

describeKernel('lines of an interactive bash', () => {
  async function typed(shell: string, lines: readonly string[]): Promise<Event[]> {
    writeFileSync(dir.file('typed'), lines.map((line) => `${line}\n`).join(''));
    const keyboard = openSync(dir.file('typed'), 'r');
    const run = await captureCommand(
      command('script', ['-qec', `${shell} --norc --noprofile -i`, '/dev/null'], { stdio: [keyboard, 'ignore', 'ignore'] }),
      { families: ['process', 'readline'] },
    );
    closeSync(keyboard);
    return run.events;
  }

  test('are told as they were typed, whatever the shell makes of them', async () => {
    const lines = ['echo $((1+1)) # é', '', 'no-such-command --at-all', `: ${'x'.repeat(3000)}`, 'exit 0'];
    const events = await typed('/usr/bin/bash', lines);
    expect(linesOf(events).map(({ comm, data }) => [comm, data.line, data.truncated])).toEqual(
      lines.filter((line) => line !== '').map((line) => ['bash', line, false]),
    );
    expect(probesOf(events).map(({ data }) => data)).toContainEqual(
      expect.objectContaining({ subject: 'readline', path: '/usr/bin/bash', status: 'attached', functions: ['readline'] }),
    );
  });

  test('are not captured of a shell whose function has no name, and that is said', async () => {
    copyFileSync('/usr/bin/true', dir.file('bash-without'));
    const run = await captureCommand(command(dir.file('bash-without'), []), { families: ['process', 'readline'] });
    expect(probesOf(run.events).map(({ data }) => data)).toContainEqual(
      expect.objectContaining({ subject: 'readline', path: dir.file('bash-without'), status: 'absent', reason: expect.stringContaining('not captured') as string }),
    );
    expect(linesOf(run.events)).toEqual([]);
  });
});

describeKernel('a program that uses io_uring', () => {
  const program = 'require("fs").promises.readFile("/etc/passwd").then(() => process.stdin.once("data", () => process.exit(0)))';
  const env = { ...process.env, UV_USE_IO_URING: '1' };

  test('is told of once, by name, in the events and at the end', async () => {
    // libuv makes two rings in each of its loops.
    const run = await captureCommand(command('env', ['UV_USE_IO_URING=1', process.execPath, '-e', 'require("fs").promises.readFile("/etc/passwd")']), { families: ['process', 'stdio'] });
    const node = processEvents(run.events).find(({ data }) => data.event === 'EXEC' && data.argv[0] === process.execPath);
    const told = probesOf(run.events).filter(({ data }) => data.subject === 'io_uring');
    expect(told.map(({ pid, process, data }) => [pid, process, data.status, data.path, data.reason])).toEqual([[
      node?.pid, node?.process, 'absent', process.execPath, `pid ${node?.pid} (node) uses io_uring: what it reads and writes through it is not captured`,
    ]]);
    expect(run.runner.ioUringLines()).toEqual(told.map(({ data }) => data.reason));
  });

  test('is told of when it ran before the trace, and by doctor', async () => {
    const child = spawn(process.execPath, ['-e', program], { env, stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      await waitFor('the ring', () => hasIoUring(child.pid ?? 0, () => undefined));
      const run = startCapture({ pids: [child.pid ?? 0], families: ['process'] });
      await run.ready;
      expect(run.runner.ioUringLines()).toEqual([expect.stringContaining(`pid ${child.pid} (node) uses io_uring`)]);
      expect((await checkTarget(child.pid ?? 0, false)).find(({ name }) => name === `pid ${child.pid}: io_uring`)).toMatchObject({ status: 'note' });
      await run.runner.stop();
      await run.done;
    } finally {
      await endChild(child);
    }
  });

  test('is not told of where there is none', async () => {
    const run = await captureCommand(command(process.execPath, ['-e', '0']), { families: ['process'] });
    expect(run.runner.ioUringLines()).toEqual([]);
  });
});
