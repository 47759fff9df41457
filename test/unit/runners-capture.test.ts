import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Addon, Batch, Capture } from '../../src/addon.ts';
import { AgentsightError } from '../../src/errors.ts';
import type { Event } from '../../src/event.ts';
import { createIdentity } from '../../src/identity.ts';
import { createCaptureRunner } from '../../src/runners/capture.ts';
import { stdioRecord } from '../helpers/records.ts';

/** A kernel that records nothing but what a test hands it, and notes what was asked of it. */
function quietAddon(load: () => void = () => undefined) {
  const asked: string[] = [];
  const undelivered: Batch[] = [];
  let onBatch: ((batch: Batch) => void) | null = null;
  const capture: Capture = {
    load,
    trace: (pid) => void asked.push(`trace ${pid}`),
    isTraced: () => true,
    attachUprobe: () => 1,
    detachUprobe: () => undefined,
    watchMappings: () => undefined,
    sweep: () => undefined,
    start: (callback) => (onBatch = callback),
    drain: async () => {
      for (const batch of undelivered.splice(0)) onBatch?.(batch);
    },
    kernelCounters: () => [],
    counters: () => ({ batches: 0, records: 0, bytes: 0, stalls: 0, mappings: 0, mappings_lost: 0 }),
    close: () => void asked.push('close'),
  };
  const addon: Addon = {
    openCapture: () => capture,
    readElf: () => ({ buildId: null, needed: [], rpath: null, runpath: null, symbols: [] }),
    bootClockOffsetNs: () => 0n,
    kernelFeatures: () => ({ socketTracepoints: true, uprobeMulti: true }),
  };
  return { addon, asked, undelivered };
}

function run(addon: Addon, options: { readonly pids?: readonly number[]; readonly selection?: { readonly comms: readonly string[] } }) {
  const runner = createCaptureRunner({
    addon, launcherPath: '/nonexistent', identity: createIdentity(), families: ['process', 'stdio'], ...options,
  });
  const events: Event[] = [];
  const start = () => new Promise<void>((resolve, reject) => {
    runner.batches.subscribe({ next: (batch) => events.push(...batch), error: reject, complete: resolve });
  });
  return { runner, events, start };
}

test('a run that is stopped before it began completes without loading anything', async () => {
  const { addon, asked } = quietAddon(() => expect.unreachable());
  const { runner, start } = run(addon, { pids: [process.pid] });
  await runner.stop();
  await start();
  expect(await runner.ready).toBeNull();
  expect(asked).toEqual([]);
});

test('what fails to load is closed, and the error reaches both who waits and who subscribed', async () => {
  const failure = new AgentsightError('BPF_LOAD_FAILED', 'could not load: no');
  const { addon, asked } = quietAddon(() => {
    throw failure;
  });
  const { runner, start } = run(addon, { pids: [process.pid] });
  await expect(start()).rejects.toBe(failure);
  await expect(runner.ready).rejects.toBe(failure);
  expect(asked).toEqual(['close']);
});

test('a run without a target is a usage error', async () => {
  await expect(run(quietAddon().addon, {}).start()).rejects.toMatchObject({ code: 'USAGE' });
});

test('what the ring still holds is delivered by a stop, then all is closed, once', async () => {
  const { addon, asked, undelivered } = quietAddon();
  const { runner, events, start } = run(addon, { selection: { comms: ['a-name-that-nobody-has'] } });
  const done = start();
  await runner.ready;
  undelivered.push(stdioRecord({ pid: 5, fd: 1, mode: 0o010600, inode: 1n, payload: Buffer.from('last') }));
  await Promise.all([runner.stop(), runner.stop(), done]);
  expect(events).toMatchObject([{ source: 'stdio', data: { len: 4 } }]);
  expect(asked).toEqual(['close']);
  expect(runner.stats().find(({ stage }) => stage === 'decoder')?.counters['records']).toBe(1);
});

test('a process whose end was never told does not hold the run', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const { addon } = quietAddon();
  const { runner, events, start } = run(addon, { pids: [child.pid ?? 0] });
  const done = start();
  await runner.ready;
  child.kill('SIGKILL');
  await once(child, 'exit');
  await done;
  expect(events).toMatchObject([{ source: 'process', pid: child.pid, data: { event: 'EXEC', existing: true } }]);
});

test('unsubscribing closes everything', async () => {
  const { addon, asked } = quietAddon();
  const runner = createCaptureRunner({
    addon, launcherPath: '/nonexistent', identity: createIdentity(), families: ['process'], selection: { comms: ['a-name-that-nobody-has'] },
  });
  const subscription = runner.batches.subscribe();
  await runner.ready;
  subscription.unsubscribe();
  expect(asked.at(-1)).toBe('close');
});
