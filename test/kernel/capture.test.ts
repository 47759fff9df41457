import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgentsightError } from '../../src/errors.ts';
import type { ProcessEvent } from '../../src/event.ts';
import { findUser } from '../../src/user.ts';
import { captureCommand, command, endChild, processEvents, startCapture, stdioEvents } from '../helpers/live-capture.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

let folder: TempDir;
beforeAll(() => {
  folder = tempDir();
});
afterAll(() => folder.remove());

function ofKind<K extends ProcessEvent['data']['event']>(events: readonly ProcessEvent[], kind: K) {
  return events.flatMap((event) => (event.data.event === kind ? [{ ...event, data: event.data as Extract<ProcessEvent['data'], { event: K }> }] : []));
}

async function failureOf(run: Promise<unknown>): Promise<AgentsightError> {
  const error = await run.then(() => new Error('it did not fail'), (cause: unknown) => cause);
  if (error instanceof AgentsightError) return error;
  throw error;
}

describeKernel('a launched command', () => {
  test.each([
    ['true', [], 0, { exit_code: 0, signal: null }],
    ['sh', ['-c', 'exit 3'], 3, { exit_code: 3, signal: null }],
    ['sh', ['-c', 'kill -KILL $$'], 137, { exit_code: null, signal: 'SIGKILL' }],
  ])('%s %j ends as it ended, its exec and exit seen', async (program, args, exitCode, exit) => {
    const { runner, events } = await captureCommand(command(program, args));
    expect(await runner.exit).toMatchObject({ exitCode });
    const processes = processEvents(events);
    expect(processes.map((event) => event.data)).toMatchObject([
      { event: 'EXEC', argv: [program, ...args], existing: false, cwd: process.cwd(), uid: 0 },
      { event: 'EXIT', ...exit },
    ]);
    expect(processes[0]?.comm).toBe(program);
    expect(new Set(processes.map((event) => event.process))).toEqual(new Set([processes[0]?.session]));
  });

  test('that does not exist is not found, before anything is loaded', async () => {
    const run = startCapture({ launch: command('no-such-command-anywhere', []) });
    expect(await failureOf(run.done)).toMatchObject({ code: 'COMMAND_NOT_FOUND', exitCode: 127 });
    expect(await run.runner.exit).toBeNull();
  });

  test('whose interpreter does not exist is not found, when it is started', async () => {
    writeFileSync(folder.file('lost'), '#!/no/such/interpreter\n');
    chmodSync(folder.file('lost'), 0o755);
    expect(await failureOf(captureCommand(command(folder.file('lost'), [])))).toMatchObject({ exitCode: 127 });
  });

  test('that is not executable is refused as a shell does', async () => {
    writeFileSync(folder.file('plain'), 'text');
    expect(await failureOf(captureCommand(command(folder.file('plain'), [])))).toMatchObject({
      code: 'COMMAND_NOT_EXECUTABLE', exitCode: 126,
    });
  });

  test('runs as the invoking user, with groups and home, and inherits nothing of ours', async () => {
    const out = openSync(folder.file('user'), 'w');
    const { runner, events } = await captureCommand(command(
      'sh', ['-c', 'id -u; id -g; echo $HOME $USER; ls /proc/self/fd'],
      { user: findUser('nobody'), cwd: '/', stdio: ['ignore', out, 'ignore'], env: { PATH: '/usr/bin:/bin', SUDO_UID: '1' } },
    ));
    const nobody = findUser('nobody');
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    // What whoever runs the tests left open is inherited; ours must not be.
    const inherited = execFileSync('ls', ['/proc/self/fd'], { encoding: 'utf8' });
    expect(readFileSync(folder.file('user'), 'utf8')).toBe(`${nobody.uid}\n${nobody.gid}\n${nobody.home} nobody\n${inherited}`);
    expect(ofKind(processEvents(events), 'EXEC')[0]?.data).toMatchObject({ argv: ['sh', '-c', expect.any(String)], uid: nobody.uid });
  });

  test('is not held up by a daemon that it leaves behind', async () => {
    const { events } = await captureCommand(command('sh', ['-c', 'setsid sleep 60 & exit 0']), { descendantGraceMs: 300 });
    const daemon = ofKind(processEvents(events), 'EXEC').find((event) => event.data.argv[0] === 'sleep');
    expect(daemon).toBeDefined();
    process.kill(daemon?.pid ?? 0, 'SIGKILL');
  });

  test('is waited for by its descendants that end in time', async () => {
    const { events } = await captureCommand(command('sh', ['-c', 'sleep 0.3 & exit 0']), { descendantGraceMs: 20_000 });
    expect(ofKind(processEvents(events), 'EXIT').map((event) => event.comm)).toEqual(['sh', 'sleep']);
  });

  test('that is stopped before its end goes on, and the run completes', async () => {
    const run = startCapture({ launch: command('sleep', ['60']) });
    await run.ready;
    await run.runner.stop();
    await run.done;
    run.runner.signal('SIGTERM');
    expect(await run.runner.exit).toMatchObject({ exitCode: 143 });
    await run.runner.stop();
  });
});

describeKernel('a tree of processes', () => {
  test('is seen with every exit code, signal and parent', async () => {
    const { events, runner } = await captureCommand(command('sh', [programPath('forktree.sh')]));
    expect(await runner.exit).toMatchObject({ exitCode: 9 });
    const processes = processEvents(events);
    const execs = ofKind(processes, 'EXEC');
    const exits = new Map(ofKind(processes, 'EXIT').map((event) => [event.process, event.data]));
    const marked = (mark: string) => execs.find((event) => event.data.argv.at(-1) === mark);
    const outcome = (mark: string) => exits.get(marked(mark)?.process ?? '');
    expect(outcome('mark-exit-3')).toMatchObject({ exit_code: 3 });
    expect(outcome('mark-sigterm')).toMatchObject({ exit_code: null, signal: 'SIGTERM' });
    expect(outcome('mark-exit-5')).toMatchObject({ exit_code: 5 });
    expect(outcome('mark-exit-7')).toMatchObject({ exit_code: 7 });
    expect(outcome('mark-background')).toMatchObject({ exit_code: 0 });
    expect(marked('mark-background')?.data.cwd).toBe('/');
    expect(marked('mark-exit-7')?.data.parent).toBe(marked('mark-exit-5')?.process);
    expect(new Set(processes.map((event) => event.session)).size).toBe(1);
    const forked = new Set(ofKind(processes, 'FORK').map((event) => event.process));
    expect(execs.slice(1).every((event) => forked.has(event.process))).toBe(true);
  });

  test('of a thousand short processes misses none', async () => {
    const { events, runner } = await captureCommand(command('sh', [programPath('crowd.sh'), '1000']), { families: ['process'] });
    const processes = processEvents(events);
    const marks = ofKind(processes, 'EXEC').map((event) => event.data.argv[1] ?? '').filter((mark) => mark.startsWith('crowd-'));
    expect(new Set(marks)).toEqual(new Set(Array.from({ length: 1000 }, (_, number) => `crowd-${number}`)));
    expect(marks).toHaveLength(1000);
    expect(ofKind(processes, 'FORK')).toHaveLength(1000);
    expect(ofKind(processes, 'EXIT')).toHaveLength(1001);
    expect(new Set(processes.map((event) => event.process)).size).toBe(1001);
    expect(runner.stats().find(({ stage }) => stage === 'decoder')?.counters).toMatchObject({ sequence_gaps: 0, malformed: 0 });
  });
});

describeKernel('attaching', () => {
  test('to a process that does not exist names it', async () => {
    expect(await failureOf(startCapture({ pids: [2 ** 22 + 1] }).done)).toMatchObject({ code: 'TARGET_NOT_FOUND', exitCode: 5 });
  });

  test('to a program that runs shows what it does from then on, and ends with it', async () => {
    const child = spawn('/usr/bin/python3', ['-uc', 'print("ready"); [print("got", line) for line in iter(input, "end")]'], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      const pid = child.pid ?? 0;
      await once(child.stdout, 'data');
      const run = startCapture({ pids: [pid] });
      expect(await run.ready).toMatchObject({ traced: [{ pid, root: true }] });
      child.stdin.write('one\n');
      child.stdin.write('end\n');
      await run.done;
      const [existing] = processEvents(run.events);
      expect(existing).toMatchObject({ pid, data: { event: 'EXEC', existing: true, argv: child.spawnargs, cwd: process.cwd() } });
      // The read in which it waited began before the trace, and ended in it.
      const stdio = stdioEvents(run.events);
      const text = (role: string): string =>
        stdio.filter(({ data }) => data.role === role).map(({ data }) => Buffer.from(data.payload).toString()).join('');
      expect(text('stdin')).toBe('one\nend\n');
      expect(text('stdout')).toBe('got one\n');
      expect(stdio[0]?.data.target).toMatch(/^(pipe|socket):\[\d+\]$/);
      expect(processEvents(run.events).at(-1)).toMatchObject({ process: existing?.process, data: { event: 'EXIT', exit_code: 0 } });
    } finally {
      await endChild(child);
    }
  });

  test('takes the descendants that exist, and those that come', async () => {
    const script = '(read a; /bin/true from-the-middle; read b) <&3 & wait; exit 0';
    const child = spawn('bash', ['--norc', '-c', `exec 3<&0; ${script}`], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      const pid = child.pid ?? 0;
      const childrenOf = (parent: number): string => readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
      const middle = Number(await waitFor('the child of the shell', () => childrenOf(pid) || undefined));
      const run = startCapture({ pids: [pid], families: ['process'] });
      const ready = await run.ready;
      expect(ready?.traced.map((process) => [process.pid, process.root])).toEqual([[pid, true], [middle, false]]);
      child.stdin.end('go\n');
      await run.done;
      const processes = processEvents(run.events);
      const existing = ofKind(processes, 'EXEC').filter((event) => event.data.existing);
      expect(existing[1]?.data.parent).toBe(existing[0]?.process);
      const fresh = ofKind(processes, 'EXEC').find((event) => event.data.argv.includes('from-the-middle'));
      expect(fresh).toMatchObject({ session: existing[0]?.process, data: { ppid: middle, parent: existing[1]?.process } });
      expect(ofKind(processes, 'EXIT').map((event) => event.process)).toEqual([fresh?.process, existing[1]?.process, existing[0]?.process]);
    } finally {
      await endChild(child);
    }
  });

  test('to a program that has not waited for an ended child follows the others', async () => {
    const program = 'import os\nif os.fork() == 0: os._exit(0)\nprint("ready"); input(); os.system("true from-here")';
    const child = spawn('/usr/bin/python3', ['-uc', program], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      const pid = child.pid ?? 0;
      await once(child.stdout, 'data');
      const state = (): string => execFileSync('ps', ['-o', 'state=', '--ppid', String(pid)], { encoding: 'utf8' }).trim();
      await waitFor('the child to be a zombie', () => state() === 'Z');
      const run = startCapture({ pids: [pid], families: ['process'] });
      expect(await run.ready).toMatchObject({ traced: [{ pid, root: true }] });
      child.stdin.end('go\n');
      await run.done;
      expect(ofKind(processEvents(run.events), 'EXEC').map((event) => event.data.argv.at(-1))).toContain('true from-here');
    } finally {
      await endChild(child);
    }
  });

  test('to a process whose first thread has ended sees what the others do', async () => {
    const program = 'import ctypes, os, threading\nthreading.Thread(target=lambda: (input(), os.write(1, b"still here\\n"))).start()\n'
      + 'print("ready")\nctypes.CDLL(None).pthread_exit(None)';
    const child = spawn('/usr/bin/python3', ['-uc', program], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      const pid = child.pid ?? 0;
      await once(child.stdout, 'data');
      await waitFor('the first thread to end', () => /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
      const run = startCapture({ pids: [pid] });
      await run.ready;
      child.stdin.end('go\n');
      await run.done;
      expect(stdioEvents(run.events).map(({ data }) => Buffer.from(data.payload).toString())).toContain('still here\n');
    } finally {
      await endChild(child);
    }
  });

  test('to a process that ends at once completes', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    const run = startCapture({ pids: [child.pid ?? 0], families: ['process'] });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await run.done.catch((error: unknown) => expect(error).toMatchObject({ code: 'TARGET_NOT_FOUND' }));
  });

  test('by name takes who runs and who comes, each as a root of its own', async () => {
    const name = `named-${process.pid}`.slice(0, 15);
    copyFileSync('/bin/cat', folder.file(name));
    chmodSync(folder.file(name), 0o755);
    const before = spawn(folder.file(name), [], { stdio: ['pipe', 'ignore', 'ignore'] });
    const run = startCapture({ selection: { comms: [name] }, families: ['process'] });
    let after: ReturnType<typeof spawn> | null = null;
    try {
      expect((await run.ready)?.traced).toEqual([{ pid: before.pid, comm: name, root: true }]);
      // Through a shell: what we start ourselves is left out.
      after = spawn('sh', ['-c', `"$0" /dev/null; exit 0`, folder.file(name)], { stdio: 'ignore' });
      const exits = () => ofKind(processEvents(run.events), 'EXIT');
      await waitFor('the exit of the second', () => exits().length === 1);
      before.stdin.end();
      await waitFor('the exit of the first', () => exits().length === 2);
      expect(exits().map((event) => [event.comm, event.session === event.process])).toEqual([[name, true], [name, true]]);
      expect(exits()[0]?.data.ppid).toBe(after.pid);
      expect(exits()[1]?.pid).toBe(before.pid);
    } finally {
      await run.runner.stop();
      await endChild(before);
      if (after !== null) await endChild(after);
    }
    await run.done;
  });
});

describeKernel('the collector', () => {
  test('is not traced with the tree that it belongs to, nor is what it starts when that has a traced name', async () => {
    const parent = process.ppid;
    const tree = startCapture({ pids: [parent], families: ['process'] });
    const traced = (await tree.ready)?.traced.map(({ pid }) => pid);
    await tree.runner.stop();
    expect(traced).toContain(parent);
    expect(traced).not.toContain(process.pid);

    const run = startCapture({ selection: { comms: ['true'] }, families: ['process'] });
    await run.ready;
    const own = spawn('true', [], { stdio: 'ignore' });
    await once(own, 'exit');
    const other = spawn('sh', ['-c', '/bin/true; exit 0'], { stdio: 'ignore' });
    await once(other, 'exit');
    await run.runner.stop();
    const seen = ofKind(processEvents(run.events), 'EXIT').filter((event) => event.comm === 'true');
    expect(seen.map((event) => event.pid)).not.toContain(own.pid);
    expect(seen.map((event) => event.data.ppid)).toContain(other.pid);
  });
});

describeKernel('stdio', () => {
  test('names what its descriptors point to', async () => {
    const out = openSync(folder.file('out.txt'), 'w');
    const { events } = await captureCommand(
      command('sh', ['-c', 'echo to-file; cat /no/such/file; echo through | cat; echo ab'], { stdio: ['ignore', out, 'ignore'] }),
    );
    const targets = stdioEvents(events).filter(({ data }) => data.direction === 'write').map(({ data }) => [
      Buffer.from(data.payload).toString().trim(), data.role, data.target.replace(/\[\d+\]/, '[N]'),
    ]);
    const file = folder.file('out.txt');
    expect(targets).toEqual([
      ['to-file', 'stdout', file],
      ['cat:', 'stderr', '/dev/null'], ['/no/such/file', 'stderr', '/dev/null'],
      [': No such file or directory', 'stderr', '/dev/null'], ['', 'stderr', '/dev/null'],
      ['through', 'stdout', 'pipe:[N]'],
      ['through', 'stdout', file], ['ab', 'stdout', file],
    ]);
  });

  test('that the ring has no room for is told as a loss, with its bytes', async () => {
    const { events, runner } = await captureCommand(
      command('dd', ['if=/dev/zero', 'bs=32000', 'count=4', 'status=none']), { families: ['stdio'], ringBytes: 16_384 },
    );
    const losses = events.flatMap((event) => (event.source === 'loss' ? [event.data] : []));
    const total = (key: 'lost' | 'bytes') => losses.filter(({ of }) => of === 'stdio').reduce((sum, loss) => sum + loss[key], 0);
    // dd reads on descriptor 0 and writes on 1.
    expect(total('bytes')).toBe(2 * 4 * 32_000);
    expect(losses.every(({ stage, cause }) => stage === 'kernel' && cause === 'ring full')).toBe(true);
    expect(runner.stats().find(({ stage }) => stage === 'kernel.stdio')?.counters).toMatchObject({ ring_full: total('lost') });
  });
});
