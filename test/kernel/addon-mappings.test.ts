/** What the addon tells of files that traced processes map executable. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CAPTURE_DEFAULTS, loadAddon, type MappedFile } from '../../src/addon.ts';
import { placeOf } from '../../src/runners/mapped-file.ts';
import { hold, startCapture, type TestCapture } from '../helpers/capture.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

describeKernel('a file that is mapped executable', () => {
  let folder: TempDir;
  let running: TestCapture;
  let mapped: MappedFile[];
  beforeEach(() => {
    folder = tempDir();
    mapped = [];
    running = startCapture({ families: ['process'] });
    running.capture.watchMappings((files) => mapped.push(...files));
  });
  afterEach(() => {
    running.capture.close();
    folder.remove();
  });

  const ofPath = (path: string): MappedFile[] => mapped.filter((file) => file.path === path);

  test('is told with process, inode and place, and nothing of processes that are not traced', async () => {
    const program = folder.file('own-sleep');
    copyFileSync('/bin/sleep', program);
    execFileSync(program, ['0']);
    const held = hold([program, '60']);
    const { pid } = held;
    running.capture.trace(pid, pid);
    const ended = held.release();
    const [file] = await waitFor('the mapping', () => ofPath(program).length > 0 && ofPath(program));
    held.child.kill();
    await ended;
    expect(ofPath(program)).toHaveLength(1);
    expect(file).toMatchObject({ pid, file: expect.stringMatching(new RegExp(`^[0-9a-f]+:[0-9a-f]+:${statSync(program).ino}$`)) });
    expect(file && placeOf(file)).toBe(program);
    expect(new Set(mapped.map((entry) => entry.pid))).toEqual(new Set([pid]));
    expect(running.capture.counters()).toMatchObject({ mappings: mapped.length, mappings_lost: 0 });
  });

  test('of a library that a running program loads is told then', async () => {
    const library = execFileSync('/usr/bin/python3', ['-c', 'import _ssl; print(_ssl.__file__)'], { encoding: 'utf8' }).trim();
    const held = hold(['/usr/bin/python3', '-c', 'input()\nimport ssl\n'], { input: Buffer.from('\n') });
    running.capture.trace(held.pid, held.pid);
    await held.release();
    await waitFor('libssl', () => mapped.some(({ path }) => path.includes('/libssl.so')));
    expect(ofPath(library)).toMatchObject([{ pid: held.pid }]);
  });

  test('is told to every capture of one process, and to one in a worker', async () => {
    const second: MappedFile[] = [];
    const other = startCapture({ families: ['process'] });
    other.capture.watchMappings((files) => second.push(...files));
    const held = hold(['/bin/sleep', '60']);
    running.capture.trace(held.pid, held.pid);
    other.capture.trace(held.pid, held.pid);
    const ended = held.release();
    await waitFor('both to be told', () => mapped.length > 0 && second.length > 0);
    held.child.kill();
    await ended;
    other.capture.close();
    other.capture.close();
    expect(() => other.capture.watchMappings(() => undefined)).toThrow(/closed/);
    expect(() => running.capture.watchMappings(() => undefined)).toThrow(/watches/);
  });

  test('a worker that ends while it watches takes its thread along', async () => {
    const worker = new Worker(`
      const { parentPort, workerData } = require('node:worker_threads');
      const native = require(workerData.path);
      const addon = native.bind(Error);
      const capture = addon.openCapture(workerData.options);
      capture.load();
      capture.watchMappings(() => undefined);
      capture.start(() => undefined);
      parentPort.postMessage('watching');
    `, { eval: true, workerData: {
      path: `${process.cwd()}/build/Release/agentsight.node`, options: { ...CAPTURE_DEFAULTS, families: ['process'], ringBytes: 1 << 20 },
    } });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    expect(loadAddon()).toBeDefined();
    const held = hold(['/bin/sleep', '60']);
    running.capture.trace(held.pid, held.pid);
    const ended = held.release();
    await waitFor('this one to go on', () => mapped.length > 0);
    held.child.kill();
    await ended;
  });
});
