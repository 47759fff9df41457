import { describe, expect, it } from 'vitest';
import { checkPrivilege, effectiveCapabilities, mayTrace } from '../../src/doctor/privilege.ts';
import { checkTarget } from '../../src/doctor/target.ts';

describe('the doctor', () => {
  it('reads capabilities as the kernel prints them', () => {
    const all = effectiveCapabilities('Name:\tx\nCapEff:\t000001ffffffffff\n');
    expect([...all].sort()).toEqual(['CAP_BPF', 'CAP_PERFMON', 'CAP_SYS_ADMIN', 'CAP_SYS_PTRACE']);
    const none = effectiveCapabilities('CapEff:\t0000000000000000\n');
    expect([mayTrace(all), mayTrace(none)]).toEqual([true, false]);
    const two = effectiveCapabilities(`CapEff:\t${((1n << 38n) | (1n << 39n)).toString(16).padStart(16, '0')}\n`);
    expect(mayTrace(two)).toBe(true);
    expect(mayTrace(effectiveCapabilities(`CapEff:\t${(1n << 39n).toString(16).padStart(16, '0')}\n`))).toBe(false);
  });

  it('says which capability is missing and how to get it', () => {
    expect(checkPrivilege(new Set(['CAP_BPF']))).toEqual([
      { name: 'privilege', status: 'missing', text: expect.stringContaining('CAP_PERFMON not held') as string, fix: 'sudo agentsight-ts doctor', exit: 3 },
    ]);
  });

  it('tells a process that is not there from one that is', async () => {
    // pid_max is at most 2^22, and pids stay below it.
    expect((await checkTarget(2 ** 22, false))[0]).toMatchObject({ status: 'missing', text: 'there is no such process', exit: 5 });
    const [self] = await checkTarget(process.pid, false);
    expect(self).toMatchObject({ status: 'ok', exit: 0, text: expect.stringContaining(process.execPath) as string });
  });
});
