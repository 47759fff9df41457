/** What processes use, from accounts that the test keeps. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ProcessEntry } from '../../src/decode/process-table.ts';
import type { SystemEvent } from '../../src/event.ts';
import { createIdentity } from '../../src/identity.ts';
import { LIMITS } from '../../src/limits.ts';
import { readStat, type ProcStat } from '../../src/runners/proc.ts';
import { createUsageSampler, type UsageOptions } from '../../src/runners/usage.ts';

const identity = createIdentity();
const UNLIMITED: UsageOptions = { intervalMs: 1000, cpuThreshold: null, memoryThresholdBytes: null };
const own = readStat(process.pid) as ProcStat;

function entry(pid: number, root = pid): ProcessEntry {
  return {
    pid, comm: `p${pid}`, key: identity.processKeyOfTicks(BigInt(pid), pid), session: identity.processKeyOfTicks(BigInt(root), root), root,
    exited: false, descriptors: new Map(),
  };
}

let stats: Map<number, ProcStat>;
beforeEach(() => { stats = new Map(); });

function account(pid: number, change: Partial<ProcStat>): void {
  const fresh: ProcStat = { ...own, pid, startTicks: BigInt(pid), userTicks: 0, systemTicks: 0, rssPages: 10, threads: 1 };
  stats.set(pid, { ...(stats.get(pid) ?? fresh), ...change });
}

const told = (events: readonly SystemEvent[]) => events.map(({ pid, data }) => `${data.event} ${pid} ${data.processes} ${data.cpu_percent}%`);
const samplerOf = (options = UNLIMITED, onOver?: (event: SystemEvent, threshold: string) => void) =>
  createUsageSampler({ identity, options, statOf: (pid) => stats.get(pid) ?? null, ...(onOver === undefined ? {} : { onOver }) });

describe('what processes use', () => {
  test('is told of a tree and, where it has several, of each; from the second look on', () => {
    const sampler = samplerOf();
    for (const pid of [1, 2, 3]) account(pid, { userTicks: 500 });
    const live = [entry(1), entry(2, 1), entry(3)];
    expect(sampler.look(live, 0)).toEqual([]);
    account(1, { userTicks: 510 });
    account(2, { userTicks: 600, systemTicks: 50 });
    account(3, { systemTicks: 25 });
    expect(told(sampler.look(live, 1000))).toEqual(['TREE 1 2 160%', 'PROCESS 1 1 10%', 'PROCESS 2 1 150%', 'TREE 3 1 25%']);
  });

  test('is not told again where nothing has changed', () => {
    const sampler = samplerOf();
    account(1, {});
    for (const nowMs of [0, 1000]) sampler.look([entry(1)], nowMs);
    expect(sampler.look([entry(1)], 2000)).toEqual([]);
    account(1, { rssPages: 11 });
    expect(told(sampler.look([entry(1)], 3000))).toEqual(['TREE 1 1 0%']);
  });

  test('belongs to the root, and to another process once that has ended', () => {
    const sampler = samplerOf();
    for (const pid of [1, 2]) account(pid, {});
    sampler.look([entry(1), entry(2, 1)], 0);
    stats.delete(1);
    account(2, { userTicks: 50 });
    const [tree] = sampler.look([entry(2, 1)], 1000);
    expect(tree).toMatchObject({ pid: 2, session: entry(1).key, data: { event: 'TREE', processes: 1, cpu_percent: 50, user_ms: 500, interval_ms: 1000 } });
  });

  test('of another process with the same pid is not mixed in', () => {
    const sampler = samplerOf();
    account(1, { userTicks: 5 });
    sampler.look([entry(1)], 0);
    account(1, { startTicks: 99n, userTicks: 700 });
    expect(sampler.look([entry(1)], 1000)).toEqual([]);
  });

  test('warns when a tree passes a threshold, and again only after it was below', () => {
    const warnings: string[] = [];
    const sampler = samplerOf({ ...UNLIMITED, cpuThreshold: 100, memoryThresholdBytes: 1 }, ({ pid }, threshold) => warnings.push(`${pid} ${threshold}`));
    account(1, {});
    sampler.look([entry(1)], 0);
    const overOf = (userTicks: number, nowMs: number) => {
      account(1, { userTicks });
      return sampler.look([entry(1)], nowMs)[0]?.data.over;
    };
    expect([overOf(150, 1000), overOf(300, 2000), overOf(310, 3000), overOf(500, 4000)]).toEqual([['cpu', 'memory'], ['cpu', 'memory'], ['memory'], ['cpu', 'memory']]);
    expect(warnings).toEqual(['1 cpu', '1 memory', '1 cpu']);
  });

  test('is measured of so many at once, and the others are counted', () => {
    const sampler = samplerOf();
    const live = Array.from({ length: LIMITS.sampledProcesses + 3 }, (_, index) => entry(index + 1));
    for (const { pid } of live) account(pid, {});
    sampler.look(live, 0);
    expect(sampler.counters()).toMatchObject({ unmeasured: 3 });
  });

  test('agrees with what the kernel says of this very process', () => {
    const self = { ...entry(process.pid), key: identity.processKeyOfTicks(own.startTicks, process.pid) };
    const sampler = createUsageSampler({ identity, options: UNLIMITED });
    sampler.look([self], 0);
    const [event] = sampler.look([self], 1000);
    const { rss } = process.memoryUsage();
    expect(event?.data.threads).toBeGreaterThan(4);
    expect(event?.data.rss_bytes).toBeGreaterThan(rss / 2);
    expect(event?.data.rss_bytes).toBeLessThan(rss * 2);
  });
});
