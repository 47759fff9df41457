import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { pipeEnds, type Use } from '../../src/decode/peer.ts';
import type { ProcessEntry } from '../../src/decode/process-table.ts';
import { createIdentity } from '../../src/identity.ts';
import { LIMITS } from '../../src/limits.ts';
import { openEnds } from '../../src/runners/open-ends.ts';
import { createPeers } from '../../src/runners/peers.ts';
import { listProcesses, readStat } from '../../src/runners/proc.ts';
import { waitFor } from '../helpers/wait.ts';

const identity = createIdentity();

function entry(pid: number, comm: string, startTicks = 1n): ProcessEntry {
  return { pid, key: identity.processKeyOfTicks(startTicks, pid), comm, session: null, root: pid, exited: false, descriptors: new Map() };
}

/** Of pids that no process has: nothing is found in /proc. */
const NO_PID = 2 ** 22;
const use = (pid: number, direction: Use['direction'], fd: number, inode = 1, comm = 'program'): Use =>
  ({ process: entry(pid, comm), direction, fd, ends: pipeEnds(inode, `pipe:[${inode}]`) });

/** Its first look at /proc takes all the time that there is: after it only what is seen counts. */
function setUp() {
  const timesMs = [0, 0, 0];
  return { peers: createPeers({ identity, processes: { live: () => [] }, nowMs: () => timesMs.shift() ?? 1e9 }) };
}

test('whoever was seen to write is named to whoever reads, the last one first', () => {
  const { peers } = setUp();
  expect(peers.peersOf(use(NO_PID + 1, 'write', 1))).toEqual([]);
  peers.peersOf(use(NO_PID + 2, 'write', 7, 1, 'late'));
  expect(peers.peersOf(use(NO_PID + 3, 'read', 0)).map(({ pid, comm, fd, evidence }) => [pid, comm, fd, evidence])).toEqual([
    [NO_PID + 2, 'late', 7, 'used'], [NO_PID + 1, 'program', 1, 'used'],
  ]);
  // And now the reader to the writers; who is not of this pipe is not.
  expect(peers.peersOf(use(NO_PID + 1, 'write', 1)).map(({ pid }) => pid)).toEqual([NO_PID + 3]);
  expect(peers.peersOf(use(NO_PID + 1, 'write', 1, 2))).toEqual([]);
});

test('the answer is the same array until it changes, and holds so many at most', () => {
  const { peers } = setUp();
  for (let index = 0; index < 2 * LIMITS.peersPerEnd; index++) peers.peersOf(use(NO_PID + index, 'write', 1));
  const first = peers.peersOf(use(NO_PID + 99, 'read', 0));
  expect(first).toHaveLength(LIMITS.peersPerEnd);
  expect(peers.counters()).toMatchObject({ left_out: LIMITS.peersPerEnd });
  expect(peers.peersOf(use(NO_PID + 99, 'read', 0))).toBe(first);
});

test('ends beyond the limit are forgotten, and counted', () => {
  const { peers } = setUp();
  for (let inode = 0; inode < LIMITS.peerEnds; inode++) peers.peersOf(use(NO_PID, 'write', 1, inode));
  // Two ends each.
  expect(peers.counters()).toMatchObject({ forgotten: LIMITS.peerEnds, looks: 1, deferred: LIMITS.peerEnds - 1 });
});

test('of a process with very many descriptors so many are looked at, and the others counted', () => {
  const MORE = 50;
  const opened: number[] = [];
  try {
    for (let count = 0; count < LIMITS.descriptorsPerProcess + MORE; count++) opened.push(openSync('/dev/null', 'r'));
    let leftOut = 0;
    openEnds(process.pid, (count) => (leftOut = count));
    expect(leftOut).toBeGreaterThanOrEqual(MORE);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
});

test('/proc names who holds the other end, until it is closed', async () => {
  // Node makes pairs of sockets: a shell between us makes a pipe.
  const outer = spawn('/bin/sh', ['-c', 'cat | cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    const piped = await findPipe(outer.pid ?? 0);
    let nowMs = 0;
    const peers = createPeers({ identity, processes: { live: () => [] }, nowMs: () => nowMs });
    const ask = () => peers.peersOf({ process: entry(NO_PID, 'reader'), direction: 'read', fd: 0, ends: pipeEnds(Number(piped.inode), 'pipe') });
    const stat = readStat(piped.writer);
    expect(ask()).toEqual([{
      pid: piped.writer, process: identity.processKeyOfTicks(stat?.startTicks ?? 0n, piped.writer), comm: 'cat', fd: 1, evidence: 'held',
    }]);
    outer.stdin?.end();
    await once(outer, 'exit');
    nowMs += 60_000;
    expect(ask()).toEqual([]);
  } finally {
    outer.kill('SIGKILL');
  }
});

/** The pipe between the two `cat` of a shell. */
function findPipe(shell: number): Promise<{ readonly inode: string; readonly writer: number }> {
  return waitFor('the pipeline', () => {
    for (const { pid, comm } of listProcesses().filter(({ ppid }) => ppid === shell)) {
      const end = openEnds(pid, () => undefined).find(({ fd, end: name }) => fd === 1 && name.endsWith('write'));
      const inode = /\[(\d+)\]/.exec(end?.end ?? '')?.[1];
      if (comm === 'cat' && inode !== undefined && openEnds(shell, () => undefined).every(({ end: name }) => !name.includes(inode))) return { inode, writer: pid };
    }
    return undefined;
  });
}
