/**
 * A collector that is stopped while programs flood it: what it delivers, and
 * what it says was lost, add up to what the programs did, for each source.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, readEvents, startCli, type FileEvent } from '../helpers/cli.ts';
import { CERTIFICATE_PROGRAM, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

/** Small, so that a flood of seconds does not fit. */
const RING = '256KiB';
const CHUNK_BYTES = 1024;

interface Flood {
  /** The program's source in test/programs/, and what it is linked with. */
  readonly program: string;
  readonly libraries?: readonly string[];
  /** What it is called, where that matters; as its source otherwise. */
  readonly name?: string;
  readonly args: (dir: TempDir) => readonly string[];
  /** Whether the collector is ready for it, beyond having seen the process. */
  readonly ready?: (events: readonly FileEvent[]) => boolean;
}

function sum(of: readonly Readonly<Record<string, unknown>>[], key: string): number {
  return of.reduce((total, one) => total + Number(one[key]), 0);
}

describeKernel('a collector that is stopped while it is flooded', () => {
  let dir: TempDir;
  let children: ChildProcess[];
  beforeEach(() => {
    dir = tempDir();
    children = [];
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    dir.remove();
  });

  /** The events of a trace that stood still from the program's first act to its end. */
  async function floodStopped({ program, libraries = [], name = program, args, ready = () => true }: Flood): Promise<FileEvent[]> {
    const path = dir.file(name);
    execFileSync('cc', ['-O2', '-o', path, programPath(`${program}.c`), ...libraries]);
    const target = spawn(path, args(dir), { stdio: ['pipe', 'ignore', 'inherit'] });
    const file = dir.file('trace.jsonl');
    const cli = startCli(['trace', '--no-hub', '-q', '-v', '--raw', '--no-redact', '--source', 'all', '--ring-size', RING, '-o', file, '-p', String(target.pid)]);
    children.push(target, cli.child);
    await waitFor('the trace to see the program', () => {
      if (cli.child.exitCode !== null) throw new Error(`trace ended: ${cli.stderr()}`);
      const events = readEvents(file);
      return events.some((event) => event.pid === target.pid && event.data['existing'] === true) && ready(events);
    });
    cli.child.kill('SIGSTOP');
    target.stdin.end('g');
    expect((await once(target, 'close'))[0]).toBe(0);
    cli.child.kill('SIGCONT');
    const { code, stderr } = await cli.result;
    expect(code).toBe(0);
    expect(stderr).toMatch(/LOST: /);
    const events = readEvents(file);
    expectGapsCounted(events, stderr);
    return events;
  }

  /** On each cpu the numbers that no record came with are those that are counted as lost there, in the events too. */
  function expectGapsCounted(events: readonly FileEvent[], stderr: string): void {
    const told = new Map<number, number>();
    for (const { data } of ofSource(events, 'loss')) {
      const cpus = data['cpus'] as readonly { readonly cpu: number; readonly lost: number; readonly bytes: number }[];
      expect([sum(cpus, 'lost'), sum(cpus, 'bytes')]).toEqual([data['lost'], data['bytes']]);
      for (const one of cpus) told.set(one.cpu, (told.get(one.cpu) ?? 0) + one.lost);
    }
    const lines = [...stderr.matchAll(/\bcpu (\d+): (\S+) records, (\S+) read, (\S+) lost$/gm)].map((line) => line.slice(1).map((text) => Number(text.replaceAll(',', ''))));
    expect(lines.length).toBeGreaterThan(0);
    for (const [cpu, records = NaN, read = NaN, counted] of lines) expect([cpu, counted, told.get(cpu ?? -1)]).toEqual([cpu, records - read, records - read]);
    expect(told.size).toBe(lines.length);
  }

  /** What the kernel refused of a source; nothing may be lost in another way. */
  function lost(events: readonly FileEvent[], source: string): number {
    const losses = ofSource(events, 'loss').filter(({ data }) => data['stage'] === 'kernel' && data['of'] === source);
    expect(new Set(losses.map(({ data }) => data['cause']))).toEqual(new Set(['ring full']));
    return sum(losses.map(({ data }) => data), 'lost');
  }

  it('stdio: each write is an event or counted', async () => {
    const count = 20_000;
    const events = await floodStopped({
      program: 'flood', args: () => [String(count), String(CHUNK_BYTES), '0', dir.file('report.json'), 'go'],
    });
    const delivered = ofSource(events, 'stdio');
    // The one read is that of the byte which let it go.
    expect(delivered.filter(({ data }) => data['direction'] === 'read')).toHaveLength(1);
    expect(delivered.length + lost(events, 'stdio')).toBe(count + 1);
    // Processes have their share of the ring.
    expect(ofSource(events, 'process').filter(({ data }) => data['event'] === 'EXIT')).toHaveLength(1);
  });

  it('tls: each write, read and close is an event or counted', async () => {
    const rounds = 5000;
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
    const events = await floodStopped({
      program: 'tlsloop', libraries: ['-l:libssl.so.3', '-l:libcrypto.so.3'],
      args: () => [String(rounds), String(CHUNK_BYTES), dir.file('cert.pem'), dir.file('key.pem'), dir.file('report.json'), 'go'],
      ready: (seen) => ofSource(seen, 'probe').some(({ data }) => String(data['path']).includes('libssl')),
    });
    const closes = 2;
    expect(ofSource(events, 'tls').length + lost(events, 'tls')).toBe(2 * rounds + closes);
  });

  it('tls: of a call of several records each part is in an event or counted, and the events of the others say where it is missing', async () => {
    const rounds = 400;
    const size = 100_000;
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
    const events = await floodStopped({
      program: 'tlsloop', libraries: ['-l:libssl.so.3', '-l:libcrypto.so.3'],
      args: () => [String(rounds), String(size), dir.file('cert.pem'), dir.file('key.pem'), dir.file('report.json'), 'go'],
      ready: (seen) => ofSource(seen, 'probe').some(({ data }) => String(data['path']).includes('libssl')),
    });
    // A read gives one record of TLS, which a write fills with 16 KiB; a write is told in parts of 32 KiB.
    const [reads, parts, closes] = [Math.ceil(size / 16_384), Math.ceil(size / 32_768), 2];
    expect(ofSource(events, 'tls').length + lost(events, 'tls')).toBe(rounds * (reads + parts) + closes);
    const data = ofSource(events, 'tls').filter((event) => event.data['event'] === 'DATA').map((event) => event.data);
    const losses = ofSource(events, 'loss').filter((event) => event.data['of'] === 'tls').map((event) => event.data);
    expect(sum(data, 'len') + sum(losses, 'bytes')).toBe(2 * rounds * size);
    // Each part says where in the call it is and what the whole call carried: what its call lacks is known to the byte.
    const written = data.filter((one) => one['direction'] === 'write');
    const calls = new Map<number, number>();
    for (const { position, offset, len, total } of written) {
      expect(total).toBe(size);
      expect([Number(offset) % 32_768, len]).toEqual([0, Math.min(32_768, size - Number(offset))]);
      const start = Number(position) - Number(offset);
      calls.set(start, (calls.get(start) ?? 0) + Number(len));
    }
    expect([...calls.values()].filter((bytes) => bytes < size).length).toBeGreaterThan(0);
  });

  it('file: each operation is an event, one of several in an event, or counted', async () => {
    const count = 30_000;
    const events = await floodStopped({ program: 'files', args: () => [dir.path, 'opens', String(count)] });
    const delivered = ofSource(events, 'file').filter(({ data }) => data['event'] === 'OPEN' && data['error'] === 'ENOENT');
    const told = sum(delivered.map(({ data }) => data), 'count');
    expect(told + lost(events, 'file')).toBe(count);
  });

  it('net: each socket that is bound, refused or closed is an event or counted', async () => {
    const count = 20_000;
    const events = await floodStopped({ program: 'connects', args: () => [String(count)] });
    const delivered = ofSource(events, 'net');
    expect(delivered.length).toBeGreaterThan(0);
    expect(new Set(delivered.filter(({ data }) => data['event'] === 'CONNECT').map(({ data }) => data['error']))).toEqual(new Set(['ECONNREFUSED']));
    // The port that it holds is bound once, and closed with its end.
    expect(delivered.length + lost(events, 'net')).toBe(count + 2);
  });

  it('signal: each one is an event or counted', async () => {
    const count = 20_000;
    const events = await floodStopped({ program: 'signals', args: () => [String(count)] });
    const delivered = ofSource(events, 'signal').filter(({ data }) => data['signal'] === 'SIGUSR1' && data['outcome'] === 'ignored');
    expect(delivered.length).toBeGreaterThan(0);
    expect(delivered.length + lost(events, 'signal')).toBe(count);
  });

  it('readline: each line is an event or counted', async () => {
    const count = 20_000;
    const events = await floodStopped({
      program: 'readlines', name: 'bash', libraries: ['-rdynamic'], args: () => [String(count)],
      ready: (seen) => ofSource(seen, 'probe').some(({ data }) => data['subject'] === 'readline' && data['path'] === dir.file('bash')),
    });
    const delivered = ofSource(events, 'readline');
    expect(delivered.length).toBeGreaterThan(0);
    expect(delivered.length + lost(events, 'readline')).toBe(count);
  });

  it('process: each start and end is an event or counted', async () => {
    const count = 3000;
    const events = await floodStopped({ program: 'forks', args: () => [String(count)] });
    const delivered = ofSource(events, 'process').filter(({ data }) => data['existing'] !== true);
    // Its own end, too.
    expect(delivered.length + lost(events, 'process')).toBe(2 * count + 1);
  });
});
