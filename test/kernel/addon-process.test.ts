/** What the process programs report of known programs, straight from the ring. */
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { NO_SELECTION } from '../../src/addon.ts';
import { RECORD_FLAG, RECORD_KIND } from '../../src/decode/layout.ts';
import { cgroupIn } from '../../src/runners/cgroup.ts';
import { execOf, exitOf, hold, parentOf, startCapture, type TestCapture } from '../helpers/capture.ts';
import { describeKernel } from '../helpers/privilege.ts';

const { RECORD_PROCESS_FORK: FORK, RECORD_PROCESS_EXEC: EXEC, RECORD_PROCESS_EXIT: EXIT } = RECORD_KIND;
const SIGTERM = 15;
const SIGSEGV = 11;
const MIB = 1024 * 1024;

describeKernel('process programs', () => {
  let traced: TestCapture;
  beforeEach(() => { traced = startCapture({ families: ['process'] }); });
  afterEach(() => traced.capture.close());

  it('report a fork tree with parents, roots and exit codes', async () => {
    const { pid, code } = await traced.run(['sh', '-c', 'sh -c "/bin/true; exit 3"; /bin/true; exit 5']);
    expect(code).toBe(5);
    const [root, inner, innerTrue, lastTrue] = traced.of(EXEC);
    expect([root, inner, innerTrue, lastTrue].map((record) => record && execOf(record).argv)).toEqual([
      'sh\0-c\0sh -c "/bin/true; exit 3"; /bin/true; exit 5\0', 'sh\0-c\0/bin/true; exit 3\0', '/bin/true\0', '/bin/true\0',
    ]);
    if (!root || !inner || !innerTrue || !lastTrue) throw new Error('unreachable');
    expect(parentOf(inner)).toEqual({ pid, startNs: root.startNs });
    expect(parentOf(innerTrue)).toEqual({ pid: inner.pid, startNs: inner.startNs });
    expect(parentOf(lastTrue)).toEqual({ pid, startNs: root.startNs });
    expect(traced.of(FORK).map((record) => record.pid)).toEqual([inner.pid, innerTrue.pid, lastTrue.pid]);
    expect(traced.of(EXIT).map((record) => [record.pid, exitOf(record).code])).toEqual([
      [innerTrue.pid, 0], [inner.pid, 3], [lastTrue.pid, 0], [pid, 5],
    ]);
    expect(new Set(traced.records.map((record) => record.root))).toEqual(new Set([pid]));
    // The start that a fork reports is the one by which the process is known ever after.
    for (const fork of traced.of(FORK)) expect(traced.of(EXIT, fork.pid)[0]?.startNs).toBe(fork.startNs);
  });

  it('report filename, working directory and ids of an exec', async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'agentsight-cwd-')));
    try {
      const cwd = join(folder, ...Array.from({ length: 40 }, (_, index) => `folder number ${index}`));
      mkdirSync(cwd, { recursive: true });
      const { pid } = await traced.run(['setpriv', '--reuid=65534', '--regid=65533', '--clear-groups', '/bin/true'], { cwd });
      const [setpriv, last] = traced.of(EXEC, pid);
      if (!setpriv || !last) throw new Error('two execs were expected');
      expect(execOf(setpriv)).toMatchObject({ cwd, cwdTruncated: 0, gid: 0 });
      expect(execOf(last)).toMatchObject({ filename: '/bin/true', cwd, gid: 65533 });
      expect(last.bytes.readUInt32LE(36)).toBe(65534);
      expect([setpriv.comm, last.comm]).toEqual(['setpriv', 'true']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('report the root folder, and one on another mount', async () => {
    await traced.run(['/bin/true'], { cwd: '/' });
    await traced.run(['/bin/true'], { cwd: '/proc/sys/kernel' });
    expect(traced.of(EXEC).map((record) => execOf(record).cwd)).toEqual(['/', '/proc/sys/kernel']);
  });

  it('keep a command line of 30 KiB whole, and an empty last argument', async () => {
    const argument = Array.from({ length: 30 * 1024 }, (_, index) => String.fromCharCode(33 + (index % 90))).join('');
    const { pid } = await traced.run(['/bin/true', argument, '']);
    const [exec] = traced.of(EXEC, pid);
    expect(exec && execOf(exec).argv).toBe(`/bin/true\0${argument}\0\0`);
    expect(exec?.flags).toBe(0);
  });

  it('cut a longer one at 32 KiB and say how long it was', async () => {
    const { pid } = await traced.run(['/bin/true', 'a'.repeat(20_000), 'b'.repeat(20_000)]);
    const [exec] = traced.of(EXEC, pid);
    if (!exec) throw new Error('no exec');
    expect(exec.flags).toBe(RECORD_FLAG.RECORD_TRUNCATED);
    expect(execOf(exec).argv).toBe(`/bin/true\0${'a'.repeat(20_000)}\0${'b'.repeat(32_768 - 20_011)}`);
    expect(execOf(exec).argvTotal).toBe(40_012);
  });

  it('report the signal that ended a process', async () => {
    expect(await traced.run(['sh', '-c', 'kill -TERM $$'])).toMatchObject({ signal: 'SIGTERM' });
    await traced.run(['sh', '-c', 'ulimit -c 0; kill -SEGV $$']);
    expect(traced.of(EXIT).map((record) => exitOf(record))).toMatchObject([
      { code: 0, signal: SIGTERM, coreDumped: 0 }, { code: 0, signal: SIGSEGV, coreDumped: 0 },
    ]);
  });

  it('report the end once for a process of many threads, with peak memory and time of them all', async () => {
    const program = [
      'import threading, sys, time',
      'data = b"x" * (64 << 20)',
      'def burn():',
      '    end = time.thread_time() + 0.06',
      '    while time.thread_time() < end: pass',
      'threads = [threading.Thread(target=burn) for _ in range(4)]',
      '[t.start() for t in threads]; [t.join() for t in threads]',
      'sys.exit(7)',
    ].join('\n');
    const { pid, code } = await traced.run(['/usr/bin/python3', '-c', program]);
    expect(code).toBe(7);
    const exits = traced.of(EXIT, pid).map((record) => exitOf(record));
    expect(exits).toHaveLength(1);
    expect(exits[0]).toMatchObject({ code: 7, signal: 0 });
    expect(exits[0]?.peakRssBytes).toBeGreaterThan(64 * MIB);
    expect(exits[0]?.peakRssBytes).toBeLessThan(160 * MIB);
    expect(exits[0]?.cpuMs).toBeGreaterThan(230);
    expect(exits[0]?.cpuMs).toBeLessThan(5000);
  });

  it('give the code of exit_group when another thread than the first calls it', async () => {
    const program = 'import os, threading; threading.Thread(target=lambda: os._exit(9)).start(); threading.Event().wait()';
    const { pid, code } = await traced.run(['/usr/bin/python3', '-c', program]);
    expect(code).toBe(9);
    expect(traced.of(EXIT, pid).map((record) => exitOf(record).code)).toEqual([9]);
  });

  it('miss none of 1,000 short processes', async () => {
    const count = 1000;
    const { pid } = await traced.run(['sh', '-c', `i=0; while [ $i -lt ${count} ]; do /bin/true $i & i=$((i+1)); [ $((i % 50)) = 0 ] && wait; done; wait`]);
    const own = (kind: number): number[] => traced.of(kind).map((record) => record.pid).filter((other) => other !== pid);
    const forks = own(FORK);
    expect(forks).toHaveLength(count);
    expect(new Set(own(EXEC))).toEqual(new Set(forks));
    expect(own(EXIT).toSorted()).toEqual(forks.toSorted());
    const argv = traced.of(EXEC).map((record) => execOf(record).argv).filter((text) => text.startsWith('/bin/true'));
    expect(new Set(argv)).toEqual(new Set(Array.from({ length: count }, (_, index) => `/bin/true\0${index}\0`)));
  });

  it('name the file that runs: through links, of a script its interpreter, of a file without a name', async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'agentsight-exe-')));
    try {
      copyFileSync('/bin/true', join(folder, 'real'));
      symlinkSync(join(folder, 'real'), join(folder, 'link'));
      writeFileSync(join(folder, 'script'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
      await traced.run([join(folder, 'link')]);
      await traced.run([join(folder, 'script')]);
      await traced.run(['/usr/bin/python3', '-c', 'import os; fd=os.memfd_create("box",0); os.sendfile(fd,os.open("/bin/true",0),0,1<<20); os.execve(fd,["true"],{})']);
      expect(traced.of(EXEC).map((record) => execOf(record).exe)).toEqual([
        join(folder, 'real'), realpathSync('/bin/sh'), realpathSync('/usr/bin/python3'), '/memfd:box',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('name the control group, as /proc does', async () => {
    const { stdout } = await traced.run(['cat', '/proc/self/cgroup']);
    const [exec] = traced.of(EXEC);
    expect(exec && execOf(exec).cgroup).toBe(cgroupIn(stdout.toString()));
  });

  it('count the bytes that all threads read and wrote, dead ones too', async () => {
    const bytes = 10 * MIB;
    await traced.run(['sh', '-c', 'dd if=/dev/zero of=/dev/null bs=1M count=10 status=none; exit 0']);
    const program = 'import os, threading\nfd = os.open("/dev/null", os.O_WRONLY)\n'
      + 'def work(): os.write(fd, b"x" * 1000)\n'
      + 'threads = [threading.Thread(target=work) for _ in range(8)]\n[t.start() for t in threads]; [t.join() for t in threads]; work()';
    await traced.run(['sh', '-c', '/usr/bin/python3 -c "$0"; exit 0', program]);
    const [dd] = traced.of(EXIT).filter((record) => record.comm === 'dd').map((record) => exitOf(record));
    expect(dd?.writtenBytes).toBe(bytes);
    // Its libraries are read as well.
    expect(dd?.readBytes).toBeGreaterThanOrEqual(bytes);
    expect(dd?.readBytes).toBeLessThan(bytes + 64 * 1024);
    expect(traced.of(EXIT).filter(({ comm }) => comm === 'python3').map((record) => exitOf(record).writtenBytes)).toEqual([9000]);
  });

  it('forget a process at its end and refuse one that does not run', async () => {
    const { pid } = await traced.run(['/bin/true']);
    expect(traced.capture.isTraced(pid)).toBe(false);
    expect(() => traced.capture.trace(pid, pid)).toThrow(expect.objectContaining({ code: 'TARGET_NOT_FOUND' }));
    expect(traced.capture.isTraced(pid)).toBe(false);
  });

  it('make a root of whatever is executed under a traced name, and of nothing else', async () => {
    traced.capture.close();
    traced = startCapture({ families: ['process'], selection: { ...NO_SELECTION, comms: ['sleep'] } });
    // Held and released without being traced: only its child is known, by its name.
    await hold(['sh', '-c', '/bin/true; sleep 0; /bin/true']).release();
    await traced.capture.drain();
    expect(traced.records.map(({ kind, comm }) => [kind, comm])).toEqual([[EXEC, 'sleep'], [EXIT, 'sleep']]);
    expect(traced.records[0]?.root).toBe(traced.records[0]?.pid);
  });

  it('follow a process that was traced while it ran', async () => {
    const held = hold(['sh', '-c', 'read line; /bin/true; exit 4'], { input: Buffer.from('go\n') });
    traced.capture.trace(held.pid, 4242);
    await held.release();
    await traced.capture.drain();
    expect(new Set(traced.records.map((record) => record.root))).toEqual(new Set([4242]));
    expect(traced.of(EXIT, held.pid).map((record) => exitOf(record).code)).toEqual([4]);
  });
});
