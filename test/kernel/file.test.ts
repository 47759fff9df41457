/** What the trace tells of files, against programs whose every operation is known. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Event, FileChange, FileEvent, FileIo } from '../../src/event.ts';
import { captureCommand, command, endChild, startCapture, type RunningCapture } from '../helpers/live-capture.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel, itOnX64 } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

const families = ['process', 'file'] as const;
const PYTHON = '/usr/bin/python3';

let dir: TempDir;
let children: ChildProcess[];
beforeEach(() => {
  dir = tempDir();
  children = [];
  chmodSync(dir.path, 0o777);
});
afterEach(async () => {
  for (const child of children) await endChild(child);
  dir.remove();
});

const fileEvents = (events: readonly Event[]): FileEvent[] => events.filter((event) => event.source === 'file');
const changes = (events: readonly Event[]): FileChange[] => fileEvents(events).flatMap(({ data }) => (data.event === 'IO' ? [] : [data]));
const io = (events: readonly Event[], path?: string): FileIo[] =>
  fileEvents(events).flatMap(({ data }) => (data.event === 'IO' && (path === undefined || data.path === path) ? [data] : []));

interface Sums {
  readonly read: number;
  readonly reads: number;
  readonly written: number;
  readonly writes: number;
}

function sums(events: readonly Event[], path: string): Sums {
  const of = (key: 'read_bytes' | 'read_calls' | 'written_bytes' | 'write_calls'): number =>
    io(events, path).reduce((sum, data) => sum + data[key], 0);
  return { read: of('read_bytes'), reads: of('read_calls'), written: of('written_bytes'), writes: of('write_calls') };
}

/** `OPEN a/one write,create created 0640 EEXIST`, without the folder of the test. */
function sentence(data: FileChange | FileIo): string {
  const short = (path: string): string => (path.startsWith(`${dir.path}/`) ? path.slice(dir.path.length + 1) : path);
  if (data.event === 'IO') return `IO ${short(data.path)} read ${data.read_bytes}/${data.read_calls} written ${data.written_bytes}/${data.write_calls}`;
  const parts = [
    data.event, short(data.path), data.target === null ? '' : `-> ${short(data.target)}`, data.flags.join(), data.created === true ? 'created' : '',
    data.mode === null ? '' : `0${data.mode.toString(8)}`, data.length === null ? '' : `to ${data.length}`,
    data.event === 'CHOWN' ? `${data.uid}:${data.gid}` : '', data.error ?? '', data.count === 1 ? '' : `${data.count} times`,
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function build(): string {
  const program = dir.file('files');
  // At a fixed address: pointers of its 32-bit calls have to fit.
  execFileSync('cc', ['-O2', '-no-pie', '-o', program, programPath('files.c')]);
  return program;
}

function workFolder(): string {
  const folder = dir.file('work');
  mkdirSync(folder, { mode: 0o777 });
  chmodSync(folder, 0o777);
  return folder;
}

function files(...args: readonly string[]): Promise<RunningCapture> {
  return run(build(), workFolder(), ...args);
}

function capture(program: string, ...args: readonly string[]): Promise<RunningCapture> {
  return captureCommand(command(program, args, { cwd: dir.path }), { families });
}

async function run(program: string, ...args: readonly string[]): Promise<RunningCapture> {
  const running = await capture(program, ...args);
  expect(await running.runner.exit).toMatchObject({ exitCode: 0 });
  return running;
}

const lost = ({ runner }: RunningCapture): readonly number[] => {
  const counters = runner.stats().find(({ stage }) => stage === 'kernel.file')?.counters ?? {};
  return ['ring_full', 'map_full', 'read_fault', 'missed', 'unmerged', 'compat'].map((name) => counters[name] ?? -1);
};
const NOTHING = [0, 0, 0, 0, 0, 0];

/** In the folder of the program, and what has no absolute path. */
const OPERATIONS = `
MKDIR a 0750
OPEN a read,directory
MKDIR a/b 0700
MKDIR a/b 0700 EEXIST
OPEN a/one write,create,exclusive created 0640
OPEN a/one write,create,exclusive 0640 EEXIST
OPEN a/two write,create,append created 0600
SYMLINK link -> a/one
SYMLINK a/broken -> ../nowhere
OPEN a/one read
OPEN link read,nofollow ELOOP
OPEN a/broken read ENOENT
OPEN a/../missing read ENOENT
OPEN a/one/x read ENOTDIR
OPEN read ENOENT
OPEN read EFAULT
OPEN x read EBADF
OPEN a/two read
OPEN missing read ENOENT
OPEN a/one read-write,truncate
OPEN copy read-write,create created 0666
TRUNCATE a/one to 4
TRUNCATE a/one EINVAL
CHMOD a/one 0640
CHOWN a/one 7:null
IO a/one read 44/8 written 36/5
OPEN a/two write
IO copy read 0/0 written 14/4
IO a/two read 0/0 written 2/1
LINK a/one -> four
LINK a/one -> four EEXIST
RENAME four -> a/five no-replace
RENAME four -> a/five ENOENT
TRUNCATE copy to 10
TRUNCATE four to 10 ENOENT
CHMOD a/two 04755
CHOWN a/two 5:6
CHOWN link nofollow null:8
CHOWN a 9:9
UNLINK a/two
UNLINK a/b EISDIR
RMDIR a/b
RMDIR a ENOTEMPTY
`;

const OLD_OPERATIONS = `
MKDIR old 0755
OPEN old/one write,create,truncate created 0644
OPEN old/one read
LINK old/one -> old/two
RENAME old/two -> old/three
RENAME old/three -> old/four
SYMLINK old/link -> one
CHMOD old/one 0600
CHOWN old/one 1:2
CHOWN old/link nofollow 3:4
UNLINK old/link
UNLINK old/one
UNLINK old/four
RMDIR old
RMDIR old ENOENT
`;

const WITHOUT_PRIVILEGE = `
CHMOD copy 00
OPEN copy read EACCES
CHMOD copy 0777 EPERM
`;

const linesOf = (...texts: readonly string[]): string[] => texts.flatMap((text) => text.trim().split('\n'));

describeKernel('operations on files', () => {
  it('are told each once, in order, with absolute paths and what came of them', async () => {
    const running = await files();
    const own = fileEvents(running.events).map(({ data }) => data).filter(({ path }) => path.startsWith(`${dir.path}/work`) || !path.startsWith('/'));
    const told = own.map((data) => sentence(data).replaceAll('work/', ''));
    expect(told).toEqual(linesOf(OPERATIONS, process.arch === 'x64' ? OLD_OPERATIONS : '', WITHOUT_PRIVILEGE));
    expect(own.filter(({ truncated }) => truncated)).toEqual([]);
    expect(lost(running)).toEqual(NOTHING);
  });

  it('have the path that the process sees, in a root of its own', async () => {
    mkdirSync(dir.file('root/etc'), { recursive: true });
    writeFileSync(dir.file('root/etc/motd'), 'hello');
    const { events } = await run(PYTHON, '-Sc', `import os; os.chroot("${dir.file('root')}"); os.chdir("/etc"); os.open("motd", 0); os.mkdir("new"); os.rename("new", "../old")`);
    expect(changes(events).map(sentence).slice(-3)).toEqual(['OPEN /etc/motd read', 'MKDIR /etc/new 0777', 'RENAME /etc/new -> /old']);
  });

  it('in a folder deeper than is walked have the end of their path, marked', async () => {
    const depth = 300;
    const script = `import os\nfor n in range(${depth}):\n os.mkdir("d"); os.chdir("d")\nos.close(os.open("deep", os.O_CREAT | os.O_WRONLY))`;
    const { events } = await run(PYTHON, '-Sc', script);
    const deep = changes(events).at(-1);
    expect(deep).toMatchObject({ event: 'OPEN', truncated: true, created: true });
    expect(deep?.path).toMatch(/^(\/d){255}\/deep$/);
    expect(changes(events).filter(({ truncated }) => !truncated).some(({ path }) => path === `${dir.path}${'/d'.repeat(200)}`)).toBe(true);
  });

  it('of memory files have a name, and end', async () => {
    const { events } = await run(PYTHON, '-Sc', 'import os; fd = os.memfd_create("notes"); os.write(fd, b"12345"); os.close(fd)');
    expect(io(events, '/memfd:notes')).toMatchObject([{ written_bytes: 5, write_calls: 1 }]);
  });

  it('that repeat are added up, exactly', async () => {
    const count = 100_000;
    writeFileSync(dir.file('same'), '');
    const script = `import os\nfor n in range(${count}):\n os.close(os.open("same", 0))\n try: os.open("none", 0)\n except OSError: pass`;
    const running = await run(PYTHON, '-Sc', script);
    for (const [name, error] of [['same', null], ['none', 'ENOENT']] as const) {
      const told = changes(running.events).filter(({ path }) => path === dir.file(name));
      expect(told.reduce((sum, data) => sum + data.count, 0)).toBe(count);
      expect(told[0]).toMatchObject({ count: 1, error });
      // Two for each second that it took.
      expect(told.length).toBeLessThan(count / 100);
    }
    expect(lost(running)).toEqual(NOTHING);
  });

  itOnX64('of the 32-bit ABI are counted, not misread', async () => {
    const running = await capture(build(), workFolder(), 'compat');
    const end = await running.runner.exit;
    // A kernel may be told not to run them (ia32_emulation=off): the program ends by its first one, and there is nothing to count.
    const runs = spawnSync(dir.file('files'), [dir.file('work'), 'compat']).signal !== 'SIGSEGV';
    expect(end).toMatchObject(runs ? { exitCode: 0 } : { signal: 'SIGSEGV' });
    expect(lost(running)).toEqual(runs ? [0, 0, 0, 0, 0, 2] : NOTHING);
    expect(changes(running.events).filter(({ path }) => path === '/etc/passwd')).toEqual([]);
  });
});

describeKernel('sums of what was read and written', () => {
  it('are those of dd, cat and a shell', async () => {
    const script = 'dd if=/dev/zero of=zeros bs=1000 count=777 status=none; cat zeros > copy; echo hello >> copy; read line < copy; exec 7< zeros; read -N 3 x <&7; true';
    const { events } = await run('bash', '-c', script);
    expect(sums(events, dir.file('zeros'))).toMatchObject({ written: 777_000, writes: 777 });
    expect(sums(events, dir.file('copy')).written).toBe(777_006);
    const cat = fileEvents(events).filter(({ comm, data }) => comm === 'cat' && data.path === dir.file('zeros'));
    expect(cat.reduce((sum, { data }) => sum + (data.event === 'IO' ? data.read_bytes : 0), 0)).toBe(777_000);
  });

  it('are those of threads that write to one file', async () => {
    const threads = 4;
    const writes = 5000;
    const script = [
      'import os, threading',
      'fd = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)',
      'def work():',
      `    for n in range(${writes}): os.write(fd, b"x" * (n % 50))`,
      `threads = [threading.Thread(target=work) for n in range(${threads})]`,
      'for one in threads: one.start()',
      'for one in threads: one.join()',
    ].join('\n');
    const running = await run(PYTHON, '-Sc', script);
    expect(sums(running.events, dir.file('log'))).toEqual({ read: 0, reads: 0, written: statSync(dir.file('log')).size, writes: threads * writes });
    expect(lost(running)).toEqual(NOTHING);
  });

  it('belong to the process that moved the bytes, through an inherited descriptor too', async () => {
    const { events } = await run('bash', '-c', 'exec 9> shared; (printf child >&9; exec sh -c "printf image >&9"); printf parent! >&9');
    const written = fileEvents(events).flatMap(({ pid, data }) => (data.event === 'IO' && data.path === dir.file('shared') ? [[pid, data.written_bytes] as const] : []));
    const byProcess = new Map<number, number>();
    for (const [pid, bytes] of written) byProcess.set(pid, (byProcess.get(pid) ?? 0) + bytes);
    expect([...byProcess.values()].sort()).toEqual([10, 7].sort());
  });

  it('are told while a file stays open, also one that was open before', async () => {
    const script = `f = open("${dir.file('open')}", "wb", 0); print("ready", flush=True)\nfor line in iter(input, "end"): f.write(line.encode())`;
    const child = spawn(PYTHON, ['-Sc', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data');
    const running = startCapture({ pids: [child.pid ?? 0], families });
    await running.ready;
    child.stdin.write('seven..\n');
    await waitFor('the first sum', () => sums(running.events, dir.file('open')).written === 7);
    child.stdin.write('three\n');
    await waitFor('the second sum', () => sums(running.events, dir.file('open')).written === 12);
    await running.runner.stop();
    await running.done;
    expect(sums(running.events, dir.file('open'))).toEqual({ read: 0, reads: 0, written: 12, writes: 2 });
  });

  it('are told at the end of a run that is stopped', async () => {
    const child = spawn(PYTHON, ['-Sc', `f = open("${dir.file('last')}", "wb", 0)\nfor line in iter(input, ""): f.write(b"12345"); print("done", flush=True)`], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const running = startCapture({ pids: [child.pid ?? 0], families });
    await running.ready;
    child.stdin.write('go\n');
    await once(child.stdout, 'data');
    await running.runner.stop();
    await running.done;
    expect(sums(running.events, dir.file('last')).written).toBe(5);
  });
});

describeKernel('real programs', () => {
  it('cp, mv, sed -i, ln, rm and tar do what they are known to do', async () => {
    writeFileSync(dir.file('source'), 'some text\n'.repeat(100));
    const script = 'cp source copy && mv copy moved && sed -i s/some/more/ moved && ln -s moved link && tar -cf all.tar moved source && mkdir -p x/y && rm -r moved x';
    const running = await run('sh', '-c', script);
    const { events } = running;
    const of = (comm: string): string[] => fileEvents(events).filter((event) => event.comm === comm && event.data.path.startsWith(dir.path)).map(({ data }) => sentence(data));
    expect(of('cp')).toEqual(expect.arrayContaining(['OPEN source read', expect.stringMatching(/^OPEN copy write,create,exclusive created /)]));
    expect(sums(events.filter(({ comm }) => comm === 'cp'), dir.file('copy')).written).toBe(1000);
    expect(of('mv')).toContainEqual(expect.stringMatching(/^RENAME copy -> moved/));
    expect(of('sed').at(-1)).toMatch(/^RENAME sed\w+ -> moved$/);
    expect(of('ln')).toContain('SYMLINK link -> moved');
    expect(sums(events, dir.file('all.tar')).written).toBe(statSync(dir.file('all.tar')).size);
    expect(of('mkdir')).toEqual(expect.arrayContaining(['MKDIR x 0777', 'MKDIR x/y 0777']));
    expect(of('rm').filter((text) => !text.startsWith('OPEN')).sort()).toEqual(['RMDIR x', 'RMDIR x/y', 'UNLINK moved']);
    expect(lost(running)).toEqual(NOTHING);
  });

  it('git makes its repository and a commit by renames of what it locked', async () => {
    const script = 'git init -q . && echo hello > file && git add file && git -c user.name=me -c user.email=me@example.test commit -qm first';
    const { events } = await run('sh', '-c', script);
    const told = changes(events).map(sentence);
    expect(told).toEqual(expect.arrayContaining(['MKDIR .git 0777', 'RENAME .git/index.lock -> .git/index', 'RENAME .git/config.lock -> .git/config']));
    const index = statSync(dir.file('.git/index')).size;
    expect(io(events, dir.file('.git/index.lock')).some(({ written_bytes }) => written_bytes === index)).toBe(true);
    expect(sums(events, dir.file('file')).written).toBe(readFileSync(dir.file('file')).length);
  });
});
