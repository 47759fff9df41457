import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COUNTER, COUNTER_SOURCE, COUNTERS_PER_SOURCE } from '../../src/decode/layout.ts';
import { createProcessTable } from '../../src/decode/process-table.ts';
import { AgentsightError } from '../../src/errors.ts';
import { type CpuCounters, NO_SELECTION } from '../../src/addon.ts';
import { createIdentity } from '../../src/identity.ts';
import { LIMITS } from '../../src/limits.ts';
import { commandFiles } from '../../src/runners/command-files.ts';
import { createDescriptors } from '../../src/runners/descriptors.ts';
import { resolveCommand } from '../../src/runners/launch.ts';
import { cgroupIn } from '../../src/runners/cgroup.ts';
import { onlyProcess } from '../../src/runners/hook-scope.ts';
import { createLossWatch, kernelStats } from '../../src/runners/loss.ts';
import { placeOf } from '../../src/runners/mapped-file.ts';
import { listProcesses, readArgv, readExecutableMappings, readIds, readStat } from '../../src/runners/proc.ts';
import { endedUnseen, findSelected, resolveTarget } from '../../src/runners/seed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runners-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, text: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    return error instanceof AgentsightError ? error.code : String(error);
  }
  return undefined;
}

describe('the command to launch', () => {
  test('is searched in PATH, over files that cannot be executed', () => {
    mkdirSync(join(folder, 'first'));
    writeFileSync(join(folder, 'first', 'tool'), '');
    const tool = program('tool', '#!/bin/sh\n');
    const env = { PATH: `${join(folder, 'first')}:${folder}` };
    expect(resolveCommand('tool', { cwd: '/', env })).toBe(tool);
  });

  test('with a slash is a path from the working directory', () => {
    const tool = program('tool', '#!/bin/sh\n');
    expect(resolveCommand('./tool', { cwd: folder, env: { PATH: '' } })).toBe(tool);
  });

  test.each(['no-such-command', './no-such-command'])('%s is not found', (command) => {
    expect(codeOf(() => resolveCommand(command, { cwd: folder, env: { PATH: folder } }))).toBe('COMMAND_NOT_FOUND');
  });

  test('is hooked with the interpreter of its script, through env too', () => {
    const node = program('node', '\x7fELF');
    const direct = program('direct', `#!${node} --flag\n`);
    const viaEnv = program('via-env', '#!/usr/bin/env -S node --flag\n');
    const place = { cwd: folder, env: { PATH: folder } };
    expect(commandFiles('direct', place)).toEqual([direct, node]);
    expect(commandFiles('via-env', place)).toEqual([viaEnv, node]);
  });

  test('that names itself as interpreter is followed no further than the kernel does', () => {
    const loop = program('loop', `#!${join(folder, 'loop')}\n`);
    expect(new Set(commandFiles('loop', { cwd: folder, env: { PATH: folder } }))).toEqual(new Set([loop]));
  });
});

describe('/proc', () => {
  test('tells name, parent and start of a process, whatever its name holds', async () => {
    const strange = program('a) (b', '#!/bin/sh\nread line\n');
    const child = spawn(strange, { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      const stat = readStat(child.pid ?? 0);
      expect(stat).toMatchObject({ pid: child.pid, comm: 'a) (b', ppid: process.pid });
      expect(stat?.startTicks).toBeGreaterThanOrEqual(readStat(process.pid)?.startTicks ?? 1n << 62n);
      expect(findSelected({ ...NO_SELECTION, comms: ['a) (b'] })).toEqual([child.pid]);
      expect(readArgv(child.pid ?? 0)).toEqual(['/bin/sh', strange]);
    } finally {
      child.stdin.end();
      await once(child, 'close');
    }
    expect(readStat(child.pid ?? 0)).toBeNull();
  });

  test('a descriptor has a path while the process or another one of it leads to that inode', () => {
    const path = program('file', '');
    const inode = statSync(path, { bigint: true }).ino;
    const fd = openSync(path, 'r');
    const descriptors = createDescriptors();
    const gone = 2 ** 22 + 1;
    expect(descriptors.readPath(gone, 1, inode)).toBeNull();
    expect(descriptors.readPath(process.pid, fd, inode + 1n)).toBeNull();
    expect(descriptors.readPath(process.pid, fd, inode)).toBe(path);
    expect(descriptors.readPath(gone, 1, inode)).toBe(path);
    closeSync(fd);
    rmSync(path);
    expect(descriptors.readPath(gone, 1, inode)).toBeNull();
  });

  test('paths of descriptors beyond the limit are forgotten, and counted', () => {
    const descriptors = createDescriptors();
    const ask = (index: number): string | null => {
      const fd = openSync(join(folder, String(index)), 'w');
      try {
        return descriptors.readPath(process.pid, fd, fstatSync(fd, { bigint: true }).ino);
      } finally {
        closeSync(fd);
      }
    };
    for (let index = 0; index < LIMITS.descriptorPaths; index++) ask(index);
    expect(descriptors.counters()).toMatchObject({ paths_forgotten: 0 });
    expect(ask(LIMITS.descriptorPaths)).toBe(join(folder, String(LIMITS.descriptorPaths)));
    expect(descriptors.counters()).toMatchObject({ paths_forgotten: LIMITS.descriptorPaths });
    descriptors.leaveOut(3);
    expect(descriptors.counters()).toMatchObject({ left_out: 3 });
  });

  test('a mapped file can be opened where it says', () => {
    const entry = readExecutableMappings(process.pid)?.find((mapping) => mapping.path === process.execPath);
    expect(entry === undefined ? null : placeOf(entry)).toBe(process.execPath);
  });

  test('a process that does not exist is refused by name', () => {
    expect(codeOf(() => resolveTarget(2 ** 22 + 1, NO_SELECTION))).toBe('TARGET_NOT_FOUND');
    expect(resolveTarget(process.pid, NO_SELECTION)).toBe(process.pid);
  });

  test('a process that the selection leaves out is refused, saying why', () => {
    const own = { comms: [readStat(process.pid)?.comm ?? ''], uids: [process.getuid?.() ?? 0], exes: [process.execPath] };
    expect(resolveTarget(process.pid, { ...NO_SELECTION, ...own })).toBe(process.pid);
    for (const [other, reason] of [
      [{ uids: [4_000_000_000] }, 'it belongs to user'], [{ comms: ['another'] }, 'its name is'],
      [{ exes: ['/bin/another'] }, `it runs ${process.execPath}`], [{ cgroups: ['/none-such'] }, 'it is in control group'],
    ] as const) {
      expect(() => resolveTarget(process.pid, { ...NO_SELECTION, ...own, ...other })).toThrow(reason);
    }
  });

  test('lists this process with our own ids', () => {
    expect(listProcesses().map((stat) => stat.pid)).toContain(process.pid);
    expect(readIds(process.pid)).toEqual({ tgid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  });

  test.each([
    ['version 2 alone', '0::/user.slice/a.scope\n', '/user.slice/a.scope'],
    ['both, version 2 empty', '12:pids:/p\n4:memory:/docker/x\n3:cpu,cpuacct:/c\n1:name=systemd:/s\n0::/\n', '/docker/x'],
    ['version 1 with one controller', '3:cpu,cpuacct:/c:d\n2:memory:/\n', '/c:d'],
    ['the root', '4:memory:/\n0::/\n', '/'],
  ])('the control group of %s is told', (_name, text, path) => {
    expect(cgroupIn(text)).toBe(path);
  });
});

describe('hooks of one process alone', () => {
  const alone = { launches: false, roots: [7], selection: { ...NO_SELECTION, follow: false } };

  test.each(['6.12.0', '6.18.44-fc', '7.0.1'])('are made where nobody else will ever be traced, on Linux %s', (kernel) => {
    expect(onlyProcess(alone, kernel)).toBe(7);
  });

  test.each([
    ['its children are followed', { ...alone, selection: NO_SELECTION }],
    ['there is another process', { ...alone, roots: [7, 8] }],
    ['there is none', { ...alone, roots: [] }],
    ['a command is launched', { ...alone, launches: true }],
    ['others are selected', { ...alone, selection: { ...alone.selection, comms: ['node'] } }],
  ])('are not made where %s', (_, scope) => {
    expect(onlyProcess(scope, '6.18.0')).toBeNull();
  });

  test.each(['5.19.0', '6.1.0-40-cloud-amd64', '6.11.9', 'unreadable'])('are not made on Linux %s', (kernel) => {
    expect(onlyProcess(alone, kernel)).toBeNull();
  });
});

describe('the watch over losses', () => {
  /** Of one cpu, what it counted of TLS. */
  const onCpu = (cpu: number, tls: Readonly<Record<number, number>>): CpuCounters => {
    const values = new Float64Array(128);
    for (const [counter, value] of Object.entries(tls)) values[COUNTER_SOURCE.COUNT_TLS * COUNTERS_PER_SOURCE + Number(counter)] = value;
    return { cpu, records: 20, values };
  };
  const full = (cpu: number, lost: number): CpuCounters => onCpu(cpu, { [COUNTER.COUNT_RING_FULL]: lost, [COUNTER.COUNT_RING_FULL_BYTES]: lost * 100 });

  test('tells what was lost since the last look and on which cpus, and nothing of what was delivered', () => {
    const watch = createLossWatch();
    expect(watch.look([onCpu(0, { [COUNTER.COUNT_DELIVERED]: 9, [COUNTER.COUNT_CALLS]: 9 })])).toEqual([]);
    expect(watch.look([full(0, 1), onCpu(1, {}), full(63, 2)])).toEqual([{
      stage: 'kernel', of: 'tls', cause: 'ring full', lost: 3, bytes: 300, connection: null,
      cpus: [{ cpu: 0, lost: 1, bytes: 100 }, { cpu: 63, lost: 2, bytes: 200 }],
    }]);
    expect(watch.look([full(0, 1), full(1, 2), full(63, 2)])).toMatchObject([{ lost: 2, bytes: 200, cpus: [{ cpu: 1, lost: 2, bytes: 200 }] }]);
    expect(watch.look([full(0, 1), full(1, 2), full(63, 2)])).toEqual([]);
  });

  test('tells of each cpu that lost records how many it numbered, and how many came', () => {
    const stats = kernelStats([onCpu(0, {}), full(5, 8)], (cpu) => (cpu === 5 ? 12 : 20));
    expect(stats.filter(({ stage }) => stage.startsWith('kernel.cpu'))).toEqual([{ stage: 'kernel.cpu5', counters: { records: 20, read: 12, lost: 8 } }]);
    expect(stats.find(({ stage }) => stage === 'kernel.tls')?.counters).toMatchObject({ ring_full: 8, ring_full_bytes: 800 });
  });
});

test('process keys of nanoseconds and of ticks agree', () => {
  const identity = createIdentity();
  expect(identity.processKey(123_456_789_012n, 7)).toBe(identity.processKeyOfTicks(12_345n, 7));
  expect(identity.prefix).toMatch(/^[0-9a-f]{12}\.[0-9a-f]{8}\.[0-9a-z]{6}$/);
});

test('a process whose pid is another\'s by now has ended, one that runs has not', () => {
  const identity = createIdentity();
  const table = createProcessTable(identity);
  const stat = readStat(process.pid);
  if (stat === null) throw new Error('this process is not in /proc');
  const seen = { pid: process.pid, comm: 'x', root: process.pid };
  const former = table.adopt({ ...seen, startTicks: stat.startTicks - 1n });
  expect(endedUnseen([former], identity)).toEqual([former]);
  expect(endedUnseen([table.adopt({ ...seen, startTicks: stat.startTicks })], identity)).toEqual([]);
});
