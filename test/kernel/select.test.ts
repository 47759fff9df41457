/** What is traced by what it is: user, file, control group, container; and what is not. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ProcessEvent } from '../../src/event.ts';
import { captureCommand, command, endChild, processEvents, startCapture, type RunningCapture } from '../helpers/live-capture.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

/** Users that nobody has: what runs as them is ours. */
const UID = 2_000_000_000 + process.pid;
const CGROUP_ROOTS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/memory', '/sys/fs/cgroup'];
const CONTAINER = `${process.pid.toString(16).padStart(12, 'a')}${'0123456789abcdef'.repeat(4)}`.slice(0, 64);

let folder: TempDir;
let children: ChildProcess[] = [];
beforeAll(() => {
  folder = tempDir();
});
afterEach(async () => {
  for (const child of children) await endChild(child);
  children = [];
});
afterAll(() => folder.remove());

/** A shell that runs what it is told, one line at a time, and is nobody's child but ours. */
function shell(args: readonly string[] = [], user?: number): ChildProcess {
  const child = spawn('sh', ['-s', ...args], { stdio: ['pipe', 'ignore', 'inherit'], ...(user === undefined ? {} : { uid: user, cwd: '/' }) });
  children.push(child);
  return child;
}

const execs = (run: RunningCapture) => processEvents(run.events).flatMap((event) => (event.data.event === 'EXEC' ? [{ ...event, data: event.data }] : []));
const ended = (run: RunningCapture, is: (event: ProcessEvent) => boolean) => (): boolean =>
  processEvents(run.events).some((event) => event.data.event === 'EXIT' && is(event));

/** Ends the run, and gives what was executed in it, in order. */
async function argvOf(run: RunningCapture): Promise<string[]> {
  await run.runner.stop();
  await run.done;
  return execs(run).map(({ data }) => data.argv.join(' '));
}

describeKernel('selected by user', () => {
  test('is every process of that user, running and to come, and none of others', async () => {
    const before = shell(['before'], UID);
    await waitFor('the shell to run as that user', () => readFileSync(`/proc/${before.pid}/cmdline`, 'utf8').includes('before'));
    const run = startCapture({ selection: { uids: [UID] }, families: ['process'] });
    await run.ready;
    spawnSync('sh', ['-c', '/bin/true nobody-of-them']);
    spawnSync('sh', ['-c', `setpriv --reuid=${UID} --clear-groups /bin/true by-a-stranger; exit 0`]);
    await waitFor('the end of the stranger', ended(run, ({ comm }) => comm === 'true'));
    before.stdin?.end('/bin/true by-the-first\n');
    await waitFor('the end of the first', ended(run, ({ pid }) => pid === before.pid));
    expect(await argvOf(run)).toEqual(['sh -s before', '/bin/true by-a-stranger', '/bin/true by-the-first']);
    expect(execs(run).map(({ data }) => data.uid)).toEqual([UID, UID, UID]);
  });

  test('restricts what another selector chooses', async () => {
    const run = startCapture({ selection: { uids: [UID], comms: ['true'] }, families: ['process'] });
    await run.ready;
    spawnSync('sh', ['-c', `/bin/true of-root; setpriv --reuid=${UID} --clear-groups /bin/true of-the-user; exit 0`]);
    await waitFor('the end', ended(run, ({ comm }) => comm === 'true'));
    expect(await argvOf(run)).toEqual(['/bin/true of-the-user']);
  });
});

describeKernel('selected by file', () => {
  test('is whoever runs it, under whatever name, also after it was replaced', async () => {
    const path = folder.file('tool');
    copyFileSync('/bin/sleep', path);
    symlinkSync(path, folder.file('alias'));
    const before = spawn(folder.file('alias'), ['60']);
    children.push(before);
    await once(before, 'spawn');
    const run = startCapture({ selection: { exes: [realpathSync(path)] }, families: ['process'] });
    expect((await run.ready)?.traced).toEqual([{ pid: before.pid, comm: 'alias', root: true }]);
    spawnSync('sh', ['-c', `"${folder.file('alias')}" 0; cp /bin/true "${path}.new"; mv "${path}.new" "${path}"; "${path}" replaced; /bin/sleep 0`]);
    await waitFor('the end of the last', ended(run, ({ comm }) => comm === 'tool'));
    expect((await argvOf(run)).map((argv) => argv.replaceAll(`${folder.path}/`, ''))).toEqual(['alias 60', 'alias 0', 'tool replaced']);
    expect(new Set(execs(run).map(({ data }) => data.exe))).toEqual(new Set([realpathSync(path)]));
  });
});

describeKernel('selected by control group', () => {
  const root = CGROUP_ROOTS.find((path) => existsSync(`${path}/cgroup.procs`)) ?? '';
  const groups: string[] = [];
  function makeGroup(path: string): string {
    mkdirSync(root + path, { recursive: true });
    groups.push(root + path);
    return `${root}${path}/cgroup.procs`;
  }
  afterEach(async () => {
    for (const child of children) await endChild(child);
    for (const path of groups.splice(0).toReversed()) {
      await waitFor('the group to be empty', () => {
        try {
          rmdirSync(path);
          return true;
        } catch {
          return false;
        }
      });
    }
  });

  test('is who is in it or below it, who starts there and who enters, with its descendants', async () => {
    const name = `/agentsight-${process.pid}`;
    const procs = makeGroup(name);
    const below = makeGroup(`${name}/below`);
    const longer = makeGroup(`${name}-longer`);
    const [inside, outside, other] = [shell(['inside']), shell(['outside']), shell(['other'])];
    writeFileSync(below, String(inside.pid));
    writeFileSync(longer, String(other.pid));
    const run = startCapture({ selection: { cgroups: [name] }, families: ['process'] });
    expect((await run.ready)?.traced).toMatchObject([{ pid: inside.pid }]);
    // A stranger that starts in the group: it enters before its exec.
    spawnSync('sh', ['-c', `sh -c 'echo 0 > ${procs}; exec /bin/true starts-there'; exit 0`]);
    other.stdin?.end('/bin/true in-a-group-whose-name-is-longer\n');
    await once(other, 'exit');
    writeFileSync(procs, String(outside.pid));
    // What it is has to be read from /proc while it runs.
    await waitFor('the word of who entered', () => execs(run).some(({ pid }) => pid === outside.pid));
    outside.stdin?.end('/bin/true after-it-entered\n');
    await waitFor('the end of who entered', ended(run, ({ pid }) => pid === outside.pid));
    inside.stdin?.end();
    await waitFor('the end of who was there', ended(run, ({ pid }) => pid === inside.pid));
    const argv = await argvOf(run);
    expect(argv.toSorted()).toEqual(['/bin/true after-it-entered', '/bin/true starts-there', 'sh -s inside', 'sh -s outside', ...argv.filter((one) => one.startsWith('sh -c'))].toSorted());
    const byArgv = new Map(execs(run).map((event) => [event.data.argv.at(-1), event]));
    expect(byArgv.get('inside')?.data).toMatchObject({ existing: true, cgroup: `${name}/below`, container: null });
    expect(byArgv.get('outside')?.data).toMatchObject({ existing: true, cgroup: name });
    expect(byArgv.get('starts-there')?.data).toMatchObject({ existing: false, cgroup: name });
    expect(byArgv.get('after-it-entered')?.session).toBe(byArgv.get('outside')?.process);
  });

  test('is a container by the beginning of its id', async () => {
    makeGroup('/agentsight-docker');
    const procs = makeGroup(`/agentsight-docker/docker-${CONTAINER}.scope`);
    const run = startCapture({ selection: { containers: [CONTAINER.slice(0, 12)] }, families: ['process'] });
    await run.ready;
    spawnSync('sh', ['-c', `/bin/true outside; sh -c 'echo 0 > ${procs}; exec /bin/true inside'; exit 0`]);
    await waitFor('the end', ended(run, ({ comm }) => comm === 'true'));
    expect((await argvOf(run)).at(-1)).toBe('/bin/true inside');
    expect(execs(run).at(-1)?.data).toMatchObject({ container: CONTAINER, cgroup: `/agentsight-docker/docker-${CONTAINER}.scope` });
    expect(execs(run).map(({ data }) => data.argv.at(-1))).not.toContain('outside');
  });
});

describeKernel('without following', () => {
  test('a command is traced and its children are not', async () => {
    const { events } = await captureCommand(command('sh', ['-c', '/bin/true child; exec /bin/true itself']), { selection: { follow: false } });
    expect(new Set(processEvents(events).map(({ pid }) => pid)).size).toBe(1);
    expect(processEvents(events).map(({ data }) => ('argv' in data ? data.argv.at(-1) : data.event))).toEqual([
      '/bin/true child; exec /bin/true itself', 'itself', 'EXIT',
    ]);
  });

  test('nor are children that run already', async () => {
    const parent = shell();
    const run = async (follow: boolean) => {
      const started = startCapture({ pids: [parent.pid ?? 0], selection: { follow }, families: ['process'] });
      const ready = await started.ready;
      await started.runner.stop();
      await started.done;
      return ready?.traced.length;
    };
    parent.stdin?.write('sleep 60 & sleep 60 &\n');
    await waitFor('two children', () => readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ').length === 2);
    const pids = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ').map(Number);
    expect([await run(true), await run(false)]).toEqual([3, 1]);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
  });
});
