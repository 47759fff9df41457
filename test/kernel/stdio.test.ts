/** stdio events of programs whose every call is known, and who is named at the other end. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProcessEvent, StdioEvent } from '../../src/event.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, endChild, processEvents, startCapture, stdioEvents } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

let dir: TempDir;
beforeAll(() => {
  dir = tempDir();
  execFileSync('cc', ['-O2', '-o', dir.file('moves'), programPath('moves.c')]);
});
afterAll(() => dir.remove());

const textOf = ({ data }: StdioEvent): string => Buffer.from(data.payload).toString();
/** Each call: its buffers are parts of it. */
function shown(events: readonly StdioEvent[]): string[] {
  const calls: string[] = [];
  for (const event of events) {
    const { role, direction, offset } = event.data;
    if (offset === 0) calls.push(`${role} ${direction} ${textOf(event)}`);
    else calls.push((calls.pop() ?? 'nothing, ') + textOf(event));
  }
  return calls;
}

describeKernel('stdio events', () => {
  async function moves(...args: readonly string[]): Promise<StdioEvent[]> {
    const run = await captureCommand(command(dir.file('moves'), args, { stdio: ['ignore', 'ignore', 'inherit'] }));
    expect((await run.runner.exit)?.exitCode).toBe(0);
    return stdioEvents(run.events);
  }

  test('have what each call on a file moved, which has no other end', async () => {
    const events = await moves('file', dir.file('moved'));
    expect(shown(events)).toEqual([
      'stdout write pwrite64', 'stdout write pwritev', 'stdout write pwritev2',
      'stdin read pwrite64', 'stdin read pwritev', 'stdin read pwritev2',
    ]);
    for (const { data } of events) expect(data).toMatchObject({ peer_target: null, peers: null, truncated: false, fault: false });
  });

  test('of a thread that has a name of its own carry the name of the process', async () => {
    const run = await captureCommand(command('/usr/bin/python3', ['-S', '-c', [
      'import ctypes, os, threading',
      'name = lambda text: ctypes.CDLL(None).prctl(15, text, 0, 0, 0)',
      'def work():',
      '    name(b"tokio-worker")',
      '    os.write(1, open("/proc/thread-self/comm", "rb").read())',
      'thread = threading.Thread(target=work)',
      'thread.start(); thread.join()',
      'os.write(1, b"first thread")',
    ].join('\n')]), { families: ['process', 'stdio', 'file'] });
    expect((await run.runner.exit)?.exitCode).toBe(0);
    const written = stdioEvents(run.events);
    expect(written.map((event) => [event.comm, textOf(event)])).toEqual([['python3', 'tokio-worker\n'], ['python3', 'first thread']]);
    expect(new Set(written.map(({ data }) => data.tid)).size).toBe(2);
    const opened = run.events.filter((event) => event.source === 'file' && event.data.path.endsWith('/comm'));
    expect(opened.map(({ comm }) => comm)).toContain('python3');
    expect(run.events.filter(({ comm }) => comm === 'tokio-worker')).toEqual([]);
  });

  test('have each message that passed a socket once, of one call or of several', async () => {
    const events = await moves('sockets');
    expect(shown(events)).toEqual([
      'stdout write sendto', 'stdin read sendto', 'stdout write sendmsg', 'stdin read sendmsg',
      'stdout write sendmmsg first', 'stdout write sendmmsg second', 'stdin read sendmmsg first', 'stdin read sendmmsg second',
      'stdout write cut off', 'stdin read cut',
    ]);
    // The rest of the datagram was never in the program's memory.
    expect(events.at(-1)?.data).toMatchObject({ len: 3, total: 7 });
    const [out, into] = [events[0]?.data, events[1]?.data];
    expect(out?.target).toMatch(/^socket:\[\d+\]$/);
    expect(out?.peer_target).toBe(into?.target);
    expect(into?.peer_target).toBe(out?.target);
  });

  test('say of bytes that moved within the kernel how many there were', async () => {
    const events = await moves('pipes');
    expect(events.map(({ data }) => [data.role, data.direction, data.len, data.total, data.withheld])).toEqual([
      ['stdout', 'write', 8, 8, undefined],
      ['stdout', 'write', 0, 9, 9],
      ['stdout', 'write', 0, 4, 4],
      ['stdin', 'read', 0, 10, 10], ['stdout', 'write', 0, 10, 10],
    ]);
    expect(textOf(events[0] as StdioEvent)).toBe('vmsplice');
  });

  test('follow descriptors that are duplicated, inherited and swapped', async () => {
    const script = 'exec 7>&1; exec > /dev/null; echo to-null; echo to-seven >&7; (echo from-child >&7); exec >&7; echo back';
    const file = openSync(dir.file('followed'), 'w');
    const child = await captureCommand(command('bash', ['-c', script], { stdio: ['ignore', file, 'ignore'] }), { fds: [1, 7] });
    closeSync(file);
    const events = stdioEvents(child.events).filter(({ data }) => data.direction === 'write');
    expect(events.map((event) => [event.data.fd, textOf(event), event.data.target === '/dev/null'])).toEqual([
      // bash writes through descriptor 1, which it makes the other one for the time of the command.
      [1, 'to-null\n', true], [1, 'to-seven\n', false], [1, 'from-child\n', false], [1, 'back\n', false],
    ]);
    expect(new Set(events.slice(1).map(({ data }) => data.target)).size).toBe(1);
  });
});

describeKernel('the other end of stdio', () => {
  const pidOf = (events: readonly ProcessEvent[], name: string): ProcessEvent => {
    const found = events.find(({ data }) => data.event === 'EXEC' && data.argv[0]?.endsWith(name));
    if (found === undefined) throw new Error(`no exec of ${name}`);
    return found;
  };

  test('is the reader and the writer of a pipeline, both of them traced', async () => {
    // Each waits for the other: both run while their records are read.
    const script = [
      'import os, sys',
      'os.write(1, b"ping"); assert os.read(0, 9) == b"pong", 1',
    ].join('\n');
    const server = ['import os', 'assert os.read(0, 9) == b"ping", 1', 'os.write(1, b"pong")'].join('\n');
    copyFileSync('/usr/bin/python3', dir.file('agent'));
    copyFileSync('/usr/bin/python3', dir.file('server'));
    const parent = [
      'import subprocess, sys',
      `server = subprocess.Popen([${JSON.stringify(dir.file('server'))}, "-S", "-c", ${JSON.stringify(server)}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)`,
      `agent = subprocess.Popen([${JSON.stringify(dir.file('agent'))}, "-S", "-c", ${JSON.stringify(script)}], stdin=server.stdout, stdout=server.stdin)`,
      'server.stdin.close(); server.stdout.close()',
      'sys.exit(agent.wait() or server.wait())',
    ].join('\n');
    const run = await captureCommand(command('/usr/bin/python3', ['-S', '-c', parent], { stdio: ['ignore', 'ignore', 'inherit'] }));
    expect((await run.runner.exit)?.exitCode).toBe(0);
    const agent = pidOf(processEvents(run.events), 'agent');
    const serving = pidOf(processEvents(run.events), 'server');
    const said = (text: string, direction: string): StdioEvent => {
      const found = stdioEvents(run.events).find((event) => textOf(event) === text && event.data.direction === direction);
      if (found === undefined) throw new Error(`nobody was seen to ${direction} ${text}`);
      return found;
    };
    for (const [text, writer, reader] of [['ping', agent, serving], ['pong', serving, agent]] as const) {
      const [written, read] = [said(text, 'write'), said(text, 'read')];
      expect([written.process, read.process]).toEqual([writer.process, reader.process]);
      // The same pipe in both: the same bytes.
      expect(read.data.target).toMatch(/^pipe:\[\d+\]$/);
      expect([written.data.target, written.data.peer_target, read.data.peer_target]).toEqual(Array(3).fill(read.data.target));
      // Whoever wrote was seen to.
      expect(read.data.peers?.[0]).toEqual({ pid: writer.pid, process: writer.process, comm: writer.comm, fd: 1, evidence: 'used' });
    }
  });

  test('is a parent that speaks to its child through sockets, as Node does', async () => {
    // Both stay until they are told that they were seen: of whom has gone, /proc tells nothing.
    const fifo = dir.file('seen-both');
    // A second try finds the first one's.
    rmSync(fifo, { force: true });
    execFileSync('mkfifo', [fifo]);
    const child = 'process.stdin.once("data", (data) => process.stdout.write("echo " + data)); process.stdin.once("end", () => process.exit(0));';
    const parent = [
      `const child = require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: ["pipe", "pipe", "inherit"] });`,
      'child.stdout.once("data", (data) => {',
      '  if (String(data) !== "echo hello") process.exit(1);',
      `  require("fs").readFileSync(${JSON.stringify(fifo)});`,
      '  child.stdin.end();',
      '});',
      'child.once("exit", (code) => process.exit(code));',
      'child.stdin.write("hello");',
    ].join('\n');
    const run = startCapture({ launch: command(process.execPath, ['-e', parent], { stdio: ['ignore', 'ignore', 'inherit'] }) });
    await waitFor('the answer to be seen', () => stdioEvents(run.events).some((event) => textOf(event) === 'echo hello'));
    writeFileSync(fifo, 'seen\n');
    await run.done;
    expect((await run.runner.exit)?.exitCode).toBe(0);
    const processes = processEvents(run.events).filter(({ data }) => data.event === 'EXEC');
    const [above, below] = [processes[0], processes[1]];
    const events = stdioEvents(run.events).filter(({ process }) => process === below?.process);
    expect(shown(events)).toEqual(['stdin read hello', 'stdout write echo hello']);
    for (const { data } of events) {
      expect(data.target).toMatch(/^socket:\[\d+\]$/);
      expect(data.peer_target).toMatch(/^socket:\[\d+\]$/);
      expect(data.peers).toEqual([expect.objectContaining({ pid: above?.pid, process: above?.process, evidence: 'held' })]);
    }
  });

  test('is a process that is not traced', async () => {
    // Its own pipe to us: this test holds the other end.
    const child = spawn('/usr/bin/python3', ['-S', '-c', 'import os\nwhile os.read(0, 9): os.write(1, b"seen")'], { stdio: ['pipe', 'pipe', 'ignore'] });
    try {
      const run = startCapture({ pids: [child.pid ?? 0] });
      await run.ready;
      child.stdin.write('go');
      await waitFor('the answer to be seen', () => stdioEvents(run.events).some((event) => textOf(event) === 'seen'));
      const answer = stdioEvents(run.events).find((event) => textOf(event) === 'seen');
      expect(answer?.data.peers?.map(({ pid, evidence }) => [pid, evidence])).toEqual([[process.pid, 'held']]);
      await run.runner.stop();
      await run.done;
    } finally {
      await endChild(child);
    }
  });

  test('of a terminal is the program that made it', async () => {
    // The shell stays until it is told that it was seen.
    const fifo = dir.file('seen');
    // A second try finds the first one's.
    rmSync(fifo, { force: true });
    execFileSync('mkfifo', [fifo]);
    const run = startCapture({
      launch: command('script', ['-qec', `echo from-within; read line < ${fifo}`, '/dev/null']), allFds: true,
    });
    const isRead = (event: StdioEvent): boolean => textOf(event).startsWith('from-within') && event.data.direction === 'read';
    await waitFor('the text to be read', () => stdioEvents(run.events).some(isRead));
    writeFileSync(fifo, 'seen\n');
    await run.done;
    const processes = processEvents(run.events);
    const script = pidOf(processes, 'script');
    const terminal = stdioEvents(run.events).filter((event) => textOf(event).startsWith('from-within'));
    const written = terminal.find(({ data }) => data.direction === 'write' && data.target.startsWith('/dev/pts/'));
    const read = terminal.find(({ data, process }) => data.direction === 'read' && process === script.process);
    expect(written?.data.peers?.map(({ process }) => process)).toEqual([script.process]);
    expect(read?.data.peer_target).toBe(written?.data.target);
    expect(read?.data.peers?.[0]).toMatchObject({ process: written?.process, evidence: 'used' });
  });

  test('is not guessed when whoever was there has gone', async () => {
    const child = spawn('/usr/bin/python3', ['-S', '-c', [
      'import os, sys', 'sys.stdin.read(1)',
      'r, w = os.pipe(); os.dup2(r, 0); os.close(r)',
      'if os.fork() == 0: os.write(w, b"orphan"); os._exit(0)',
      'os.close(w); os.wait(); os.read(0, 9)',
    ].join('\n')], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      const run = startCapture({ pids: [child.pid ?? 0] });
      await run.ready;
      child.stdin.end('g');
      await once(child, 'exit');
      await run.done;
      const read = stdioEvents(run.events).find((event) => textOf(event) === 'orphan');
      // It wrote through a descriptor that is not captured.
      expect(read?.data).toMatchObject({ direction: 'read', peers: [] });
    } finally {
      await endChild(child);
    }
  });
});
