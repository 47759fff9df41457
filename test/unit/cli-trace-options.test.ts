import { describe, expect, it } from 'vitest';
import { replayOptions, traceOptions } from '../../src/cli/trace-options.ts';
import type { Invocation, TraceFlags } from '../../src/cli/trace-options.ts';
import { NO_SELECTION } from '../../src/addon.ts';
import type { Settings } from '../../src/settings.ts';
import { AgentsightError } from '../../src/errors.ts';

const settings: Settings = {
  port: 7395, dataDir: '/data', store: null, ringSize: 1 << 20, maxPayload: 1 << 16, plainPorts: [8080], sources: ['process', 'tls', 'stdio', 'http', 'sse'],
  redact: true, raw: false, hub: true, allFds: false, logLevel: 'warn',
};
const invocation: Invocation = { settings, user: { name: 'someone', uid: 1000, gid: 1000, home: '/h' }, stdoutIsTerminal: true };

function refusal(flags: TraceFlags, command: readonly string[], change: Partial<Settings> = {}): AgentsightError {
  try {
    traceOptions(flags, command, { ...invocation, settings: { ...settings, ...change } });
  } catch (error) {
    if (error instanceof AgentsightError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('the options of trace', () => {
  it('join flags and settings, each target once', () => {
    const options = traceOptions({ pid: [7, 7, 8], comm: ['node', 'node'], port: [443], for: 1000, output: 'x.jsonl' }, [], invocation);
    expect(options).toMatchObject({
      pids: [7, 8], selection: { ...NO_SELECTION, comms: ['node'], ports: [443] }, command: [], durationMs: 1000, output: `${process.cwd()}/x.jsonl`, families: ['process', 'tls', 'net', 'stdio'],
      hub: true, quiet: false, json: false, serve: false, ringBytes: 1 << 20, payloadBytesPerCall: 1 << 16, plainPorts: [8080],
    });
  });

  it.each([
    [['process'], ['process']],
    [['stdio'], ['process', 'stdio']],
    [['http'], ['process', 'tls', 'net']],
    [['file'], ['process', 'file']],
    [['sse', 'stdio'], ['process', 'tls', 'net', 'stdio']],
  ] as const)('for sources %j make the kernel observe %j', (sources, families) => {
    expect(traceOptions({ pid: [7] }, [], { ...invocation, settings: { ...settings, sources } }).families).toEqual(families);
  });

  it('refuse a trace of nothing', () => {
    for (const flags of [{}, { port: [443] }, { follow: false }]) {
      expect(refusal(flags, [])).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('-p PID') as string });
    }
  });

  it('leave sources out, of the settings as well', () => {
    const options = traceOptions({ pid: [7], excludeSource: ['tls', 'http', 'sse'] }, [], invocation);
    expect([options.sources, options.families]).toEqual([['process', 'stdio'], ['process', 'stdio']]);
    expect(refusal({ pid: [7], excludeSource: ['stdio'] }, [], { sources: ['stdio'] }).message).toContain('leaves no source');
  });

  it('measure what processes use where system is chosen, and refuse what is for that alone elsewhere', () => {
    const measured = { ...invocation, settings: { ...settings, sources: ['process', 'system'] as const } };
    expect(traceOptions({ pid: [7] }, [], invocation).usage).toBeNull();
    expect(traceOptions({ pid: [7] }, [], measured)).toMatchObject({
      usage: { intervalMs: 2000, cpuThreshold: null, memoryThresholdBytes: null }, families: ['process'],
    });
    expect(traceOptions({ pid: [7], interval: 500, cpuThreshold: 80, memoryThreshold: 1 << 20 }, [], measured).usage)
      .toEqual({ intervalMs: 500, cpuThreshold: 80, memoryThresholdBytes: 1 << 20 });
    expect(refusal({ pid: [7], memoryThreshold: 1 }, [])).toMatchObject({ message: expect.stringContaining('--memory-threshold is of source system') as string, hint: expect.stringContaining('sse,system') as string });
  });

  it('take descriptors from the list that was typed, whatever the settings say of all', () => {
    const all = { ...invocation, settings: { ...settings, allFds: true } };
    expect(traceOptions({ pid: [7] }, [], all)).toMatchObject({ fds: [0, 1, 2], allFds: true, stdioBytesPerCall: 4 << 20 });
    expect(traceOptions({ pid: [7], fds: [5], maxBytes: 10 }, [], all)).toMatchObject({ fds: [5], allFds: false, stdioBytesPerCall: 10 });
    expect(refusal({ pid: [7], fds: [5], allFds: true }, []).message).toContain('contradict');
  });

  it('refuse two writers on one terminal, but not through a pipe or beside a file', () => {
    expect(refusal({ json: true }, ['ls']).hint).toContain('-o FILE');
    expect(traceOptions({ json: true }, ['ls'], { ...invocation, stdoutIsTerminal: false }).json).toBe(true);
    expect(traceOptions({ json: true, output: '/x' }, ['ls'], invocation).json).toBe(true);
  });

  it('refuse to show tls chunks alone without keeping them', () => {
    expect(refusal({ pid: [7] }, [], { sources: ['tls'] }).hint).toContain('--raw');
    expect(traceOptions({ pid: [7] }, [], { ...invocation, settings: { ...settings, sources: ['tls'], raw: true } }).raw).toBe(true);
  });

  it('refuse to keep up a page that there is not', () => {
    expect(refusal({ serve: true }, ['ls'], { hub: false }).message).toContain('there is none without a hub');
  });
});

describe('the options of replay', () => {
  it('leave the hub out unless it is asked for', () => {
    expect(replayOptions('a.jsonl', {}, invocation)).toMatchObject({ hub: false, file: `${process.cwd()}/a.jsonl` });
    expect(replayOptions('-', { hub: true, serve: true }, invocation)).toMatchObject({ hub: true, serve: true, file: '-' });
    expect(() => replayOptions('a.jsonl', { serve: true }, invocation)).toThrow('could not keep the page up');
  });
});
