/** The addon itself: lifecycle, two captures, worker threads, errors, ELF files, the launcher. */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CAPTURE_DEFAULTS, launcherPath, loadAddon, NO_SELECTION, type CaptureOptions, type Selection } from '../../src/addon.ts';
import { COUNTER, COUNTER_SOURCE, RECORD_KIND } from '../../src/decode/layout.ts';
import { countedOf } from '../../src/runners/loss.ts';
import { hold, startCapture } from '../helpers/capture.ts';
import { CLI, ROOT, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';

const MIB = 1024 * 1024;
const OPTIONS: CaptureOptions = {
  ...CAPTURE_DEFAULTS, families: ['process', 'stdio', 'tls'], ringBytes: MIB, payloadBytesPerCall: MIB, queuedBytes: MIB,
};
const EXIT = RECORD_KIND.RECORD_PROCESS_EXIT;
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const OURS = 125;

const openFds = (): number => readdirSync('/proc/self/fd').length;

describeKernel('capture', () => {
  it('closes twice, in every state, and gives back every descriptor', () => {
    const { openCapture } = loadAddon();
    openCapture(OPTIONS).close();
    const before = openFds();
    for (let round = 0; round < 3; round++) {
      const loaded = openCapture(OPTIONS);
      loaded.load();
      loaded.close();
      loaded.close();
    }
    expect(openFds()).toBe(before);
    const { capture } = startCapture();
    capture.close();
    capture.close();
    expect(() => capture.trace(process.pid, process.pid)).toThrow('the capture is closed');
    expect(capture.kernelCounters()).toEqual([]);
  });

  it('refuses what makes no sense', () => {
    const { openCapture } = loadAddon();
    expect(() => openCapture({ ...OPTIONS, ringBytes: 100_000 })).toThrow('ringBytes is not a power of two');
    expect(() => openCapture({ ...OPTIONS, ringBytes: 1 })).toThrow('ringBytes is out of range');
    expect(() => openCapture({ ...OPTIONS, payloadBytesPerCall: -1 })).toThrow('payloadBytesPerCall is out of range');
    expect(() => openCapture({ ...OPTIONS, families: ['files' as 'tls'] })).toThrow('unknown name');
    const select = (selection: Partial<Selection>) => () => openCapture({ ...OPTIONS, selection: { ...NO_SELECTION, ...selection } });
    expect(select({ comms: ['a name of 16 byte'] })).toThrow('comms holds what is no text, or is too long');
    expect(select({ exes: [`/${'x'.repeat(255)}`] })).toThrow('exes holds');
    expect(select({ cgroups: Array.from({ length: 9 }, () => '/a'), containers: Array.from({ length: 8 }, () => 'b') })).toThrow('too many');
    expect(select({ ports: [65_536] })).toThrow('ports is out of range');
    expect(() => openCapture({ ...OPTIONS, fds: [1024] })).toThrow('fds is out of range');
    const capture = openCapture(OPTIONS);
    expect(() => capture.trace(1, 1)).toThrow('the capture is not loaded');
    capture.load();
    expect(() => capture.load()).toThrow('the capture is loaded');
    expect(() => capture.attachUprobe({ program: 'ssl_read_exit', path: '/no/such/file', offset: 0, pid: null, cookie: 0 }))
      .toThrow(expect.objectContaining({ name: 'AgentsightError', code: 'TARGET_NOT_FOUND' }));
    capture.close();
  });

  it('works twice at once in one process, each with its own traced set', async () => {
    const one = startCapture({ families: ['process'] });
    const two = startCapture({ families: ['process'] });
    const first = await one.run(['/bin/true']);
    const second = await two.run(['/bin/false']);
    await Promise.all([one.capture.drain(), two.capture.drain()]);
    expect(one.records.map(({ pid }) => pid)).toEqual([first.pid, first.pid]);
    expect(two.records.map(({ pid }) => pid)).toEqual([second.pid, second.pid]);
    one.capture.close();
    expect((await two.run(['/bin/true'])).code).toBe(0);
    expect(two.of(EXIT)).toHaveLength(2);
    two.capture.close();
  });

  it('works in a worker thread that ends without closing it', async () => {
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      const { spawn } = require('node:child_process');
      const addon = require(workerData.addon).bind(Error);
      const capture = addon.openCapture(workerData.options);
      capture.load();
      let bytes = 0;
      capture.start((batch) => { bytes += batch.length; });
      const child = spawn(workerData.launcher, ['/bin/true'], { stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'] });
      capture.trace(child.pid, child.pid);
      child.stdio[3].write('g');
      child.on('close', () => capture.drain().then(() => { parentPort.postMessage(bytes); process.exit(); }));
    `;
    for (let round = 0; round < 2; round++) {
      const worker = new Worker(code, {
        eval: true,
        workerData: { addon: join(ROOT, 'build/Release/agentsight.node'), launcher: launcherPath(), options: OPTIONS },
      });
      const ended = once(worker, 'exit');
      const [bytes] = await once(worker, 'message');
      expect(bytes).toBeGreaterThan(112);
      await ended;
    }
  });

  it('delivers each batch before drain() resolves, and goes on after a consumer that throws', async () => {
    const program = [
      'const { loadAddon } = await import(process.argv[1]);',
      'process.on("uncaughtException", (error) => console.log("caught", error.message));',
      `const capture = loadAddon().openCapture(${JSON.stringify({ ...OPTIONS, families: ['process'] })});`,
      'capture.load(); let calls = 0;',
      'capture.start(() => { calls++; if (calls === 1) throw new Error("first"); });',
      'capture.trace(process.pid, process.pid);',
      'const { execFileSync } = await import("node:child_process");',
      'execFileSync("/bin/true"); await capture.drain(); execFileSync("/bin/true"); await capture.drain();',
      'console.log(calls > 1 ? "went on" : "stuck"); capture.close();',
    ].join('\n');
    const output = execFileSync(process.execPath, nodeArguments(program), { encoding: 'utf8' });
    expect(output).toBe('caught first\nwent on\n');
  });

  it('holds its memory bound while JavaScript does not take batches', async () => {
    const { capture, records, run } = startCapture({ ringBytes: MIB, queuedBytes: MIB });
    const held = hold(['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=4000', 'count=50000', 'status=none']);
    capture.trace(held.pid, held.pid);
    const finished = held.release();
    // The event loop stands still until the drain had to wait.
    while (capture.counters().stalls === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    expect(capture.counters().bytes).toBeLessThanOrEqual(MIB);
    await finished;
    await run(['/bin/true']);
    expect(records.length).toBe(capture.counters().records);
    expect(countedOf(capture.kernelCounters(), COUNTER_SOURCE.COUNT_STDIO, COUNTER.COUNT_RING_FULL)).toBeGreaterThan(0);
    capture.close();
  });

  it('says that a privilege is missing', () => {
    const program = [
      'const { loadAddon } = await import(process.argv[1]);',
      `const capture = loadAddon().openCapture(${JSON.stringify(OPTIONS)});`,
      'try { capture.load(); } catch (error) { console.log(JSON.stringify([error.code, error.message, error.hint !== undefined])); }',
      'capture.close(); capture.close();',
    ].join('\n');
    const output = execFileSync('setpriv', ['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', process.execPath, ...nodeArguments(program)], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual(['PRIVILEGE_MISSING', 'could not load the BPF programs: Operation not permitted', true]);
  });

  it('loads in a process that a signal comes to each millisecond', () => {
    // Of a profiler. The kernel gives up verifying a program at a signal, and libbpf gives up at the fifth.
    const dir = tempDir();
    const profiler = ['--cpu-prof', `--cpu-prof-dir=${dir.file('profile')}`, '--cpu-prof-interval=1000'];
    const trace = spawnSync(process.execPath, [...profiler, CLI, 'trace', '--no-hub', '-q', '--', '/bin/true'], { encoding: 'utf8' });
    dir.remove();
    expect(trace).toMatchObject({ status: 0, stderr: expect.stringContaining('traced for') });
  });

  it('keeps no program attached after close', async () => {
    const { capture, run, records } = startCapture({ families: ['process'] });
    await run(['/bin/true']);
    const seen = records.length;
    const held = hold(['/bin/true']);
    capture.trace(held.pid, held.pid);
    capture.close();
    await held.release();
    expect(records).toHaveLength(seen);
  });
});

/** Node runs TypeScript sources only through vitest here: the child gets the loader's face in plain JavaScript. */
function nodeArguments(program: string): string[] {
  const face = `export const loadAddon = () => process.getBuiltinModule('node:module').createRequire(${JSON.stringify(`${ROOT}/`)})('./build/Release/agentsight.node')
    .bind(class extends Error { constructor(code, message, options) { super(message); Object.assign(this, options, { code }); } });`;
  return ['--input-type=module', '-e', program, `data:text/javascript,${encodeURIComponent(face)}`];
}

describe('readElf', () => {
  let dir: TempDir;
  beforeEach(() => { dir = tempDir(); });
  afterEach(() => dir.remove());

  it('finds exported functions, needed libraries and the build id', () => {
    const { symbols, needed, buildId } = loadAddon().readElf(process.execPath, ['SSL_read', 'SSL_write', 'no_such_function']);
    expect(symbols.map(({ name }) => name).toSorted()).toEqual(['SSL_read', 'SSL_write']);
    expect(needed).toContain('libc.so.6');
    const notes = execFileSync('readelf', ['-n', process.execPath], { encoding: 'utf8' });
    expect(notes).toContain(`Build ID: ${buildId}`);
  });

  it('gives offsets in the file, not addresses', () => {
    const { symbols: [symbol] } = loadAddon().readElf(launcherPath(), ['main']);
    const symbols = execFileSync('readelf', ['-sW', launcherPath()], { encoding: 'utf8' });
    const [, address] = /^ *\d+: ([0-9a-f]+) .* main$/m.exec(symbols) ?? [];
    const segments = execFileSync('readelf', ['-lW', launcherPath()], { encoding: 'utf8' });
    const code = [...segments.matchAll(/LOAD +0x([0-9a-f]+) 0x([0-9a-f]+) .*R E/g)][0];
    expect(symbol?.offset).toBe(Number.parseInt(address ?? '', 16) - Number.parseInt(code?.[2] ?? '', 16) + Number.parseInt(code?.[1] ?? '', 16));
  });

  it.each([
    ['an empty file', Buffer.alloc(0)],
    ['text', Buffer.from('#!/bin/sh\necho hello\n')],
    ['a bare magic number', Buffer.from('\x7fELF')],
  ])('refuses %s', (_name, bytes) => {
    writeFileSync(dir.file('bad'), bytes);
    expect(() => loadAddon().readElf(dir.file('bad'), ['main'])).toThrow(expect.objectContaining({ code: 'CAPTURE_UNREADABLE' }));
  });

  it('refuses a folder, a device, and a file that is not there', () => {
    const { readElf } = loadAddon();
    expect(() => readElf(dir.path, [])).toThrow(expect.objectContaining({ code: 'CAPTURE_UNREADABLE' }));
    expect(() => readElf('/dev/zero', [])).toThrow(expect.objectContaining({ code: 'CAPTURE_UNREADABLE' }));
    expect(() => readElf(dir.file('none'), [])).toThrow(expect.objectContaining({ code: 'TARGET_NOT_FOUND' }));
  });

  it('survives files that are cut or damaged anywhere', () => {
    // In a process of its own: a crash must be this test's failure, not the runner's.
    const whole = readFileSync(launcherPath());
    const program = [
      'const { loadAddon } = await import(process.argv[1]);',
      'const { readFileSync, writeFileSync } = await import("node:fs");',
      'const { readElf } = loadAddon(); const [, , whole, file] = process.argv; const bytes = readFileSync(whole); let read = 0, refused = 0;',
      'const attempt = (content) => { writeFileSync(file, content); try { readElf(file, ["main"]); read++; } catch { refused++; } };',
      'for (let size = 0; size < bytes.length; size += 61) attempt(bytes.subarray(0, size));',
      'let seed = 1; const random = (limit) => (seed = (seed * 48271) % 2147483647) % limit;',
      'for (let round = 0; round < 1500; round++) { const copy = Buffer.from(bytes);',
      '  for (let hit = 0; hit < 8; hit++) copy[random(round % 2 ? 1024 : copy.length)] = random(3) ? random(256) : 255; attempt(copy); }',
      'console.log(JSON.stringify({ read, refused }));',
    ].join('\n');
    const output = execFileSync(process.execPath, [...nodeArguments(program), launcherPath(), dir.file('damaged')], { encoding: 'utf8' });
    const { read, refused } = JSON.parse(output) as { read: number; refused: number };
    expect(read + refused).toBe(Math.ceil(whole.length / 61) + 1500);
    expect(refused).toBeGreaterThan(0);
  });
});

describe('launcher', () => {
  function launch(command: readonly string[], start: string, stdio: ('pipe' | 'ignore')[] = ['ignore', 'pipe']) {
    // A start pipe that already holds its byte, or its end.
    const script = `printf '${start}' | { exec "$@" 3<&0 0</dev/null; }`;
    return spawnSync('sh', ['-c', script, 'sh', launcherPath(), ...command], { stdio: [...stdio, 'pipe', 'pipe', 'pipe'], encoding: 'utf8' });
  }

  it('becomes the command, with its arguments and without our descriptors', () => {
    const { status, stdout } = launch(['sh', '-c', 'echo "$0 $1"; for fd in 3 4 5; do test -e /proc/$$/fd/$fd && echo $fd; done; exit 0', 'a', 'b c'], 'g');
    expect(stdout).toBe('a b c\n');
    expect(status).toBe(0);
  });

  it('reports why it cannot, as a shell would', () => {
    expect(launch(['no-such-command-here'], 'g')).toMatchObject({ status: NOT_FOUND, output: [null, '', '', '', '2'] });
    expect(launch(['/etc/passwd'], 'g')).toMatchObject({ status: NOT_EXECUTABLE, output: [null, '', '', '', '13'] });
  });

  it('ends when its tracer is gone', () => {
    expect(launch(['/bin/true'], '')).toMatchObject({ status: OURS });
  });

  it('gives the command default signals', () => {
    const { stdout } = launch(['grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status'], 'g');
    expect(stdout).toMatch(/SigBlk:\s0{16}\nSigIgn:\s0{16}\n/);
  });
});
