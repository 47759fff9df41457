import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COUNTER, COUNTER_SOURCE } from '../../src/decode/layout.ts';
import { createProcessTable } from '../../src/decode/process-table.ts';
import { AgentsightError } from '../../src/errors.ts';
import { createIdentity } from '../../src/identity.ts';
import { commandFiles } from '../../src/runners/command-files.ts';
import { createDescriptors } from '../../src/runners/descriptors.ts';
import { resolveCommand } from '../../src/runners/launch.ts';
import { createLossWatch } from '../../src/runners/loss.ts';
import { listProcesses, readArgv, readExecutableMappings, readIds, readStat } from '../../src/runners/proc.ts';
import { endedUnseen, findByComm, resolveTarget, truncateComm } from '../../src/runners/seed.ts';

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
      expect(findByComm(['a) (b'])).toEqual([child.pid]);
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

  test('a mapped file can be opened where it says', () => {
    const entry = readExecutableMappings(process.pid)?.find((mapping) => mapping.path === process.execPath);
    expect(statSync(entry?.reachable ?? '').ino).toBe(statSync(process.execPath).ino);
  });

  test('a process that does not exist is refused by name', () => {
    expect(codeOf(() => resolveTarget(2 ** 22 + 1))).toBe('TARGET_NOT_FOUND');
    expect(resolveTarget(process.pid)).toBe(process.pid);
  });

  test('lists this process with our own ids', () => {
    expect(listProcesses().map((stat) => stat.pid)).toContain(process.pid);
    expect(readIds(process.pid)).toEqual({ tgid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  });

  test('a name is cut where the kernel cuts it', () => {
    expect(truncateComm('a-name-longer-than-fifteen')).toBe('a-name-longer-t');
  });
});

describe('the watch over losses', () => {
  const counters = (values: Readonly<Record<number, number>>) => {
    const rows = Array.from({ length: 8 }, () => Array.from({ length: 8 }, () => 0));
    for (const [counter, value] of Object.entries(values)) rows[COUNTER_SOURCE.COUNT_TLS]![Number(counter)] = value;
    return rows;
  };

  test('tells what was lost since the last look, and nothing of what was delivered', () => {
    const watch = createLossWatch();
    expect(watch.look(counters({ [COUNTER.COUNT_DELIVERED]: 9, [COUNTER.COUNT_CALLS]: 9 }))).toEqual([]);
    expect(watch.look(counters({ [COUNTER.COUNT_RING_FULL]: 3, [COUNTER.COUNT_RING_FULL_BYTES]: 300 }))).toEqual([
      { stage: 'kernel', of: 'tls', cause: 'ring full', lost: 3, bytes: 300, connection: null },
    ]);
    expect(watch.look(counters({ [COUNTER.COUNT_RING_FULL]: 5, [COUNTER.COUNT_RING_FULL_BYTES]: 500 }))).toMatchObject([
      { lost: 2, bytes: 200 },
    ]);
    expect(watch.look(counters({ [COUNTER.COUNT_RING_FULL]: 5, [COUNTER.COUNT_RING_FULL_BYTES]: 500 }))).toEqual([]);
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
