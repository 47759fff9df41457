/** Process trees and standard streams of known programs, from the kernel to the file. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, readEvents, runCli, type FileEvent } from '../helpers/cli.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';

describeKernel('trace: processes and standard streams', () => {
  let dir: TempDir;
  beforeEach(() => { dir = tempDir(); });
  afterEach(() => dir.remove());

  async function trace(command: readonly string[], code: number): Promise<FileEvent[]> {
    const file = dir.file('trace.jsonl');
    const result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--', ...command], { cwd: dir.path });
    expect(result, result.stderr).toMatchObject({ code });
    expect(result.stderr).toContain('nothing lost');
    return readEvents(file);
  }

  const execOf = (events: readonly FileEvent[], mark: string): FileEvent | undefined =>
    ofSource(events, 'process').find(({ data }) => data['event'] === 'EXEC' && (data['argv'] as string[]).at(-1) === mark);
  const exitOf = (events: readonly FileEvent[], key: string | null | undefined): FileEvent | undefined =>
    ofSource(events, 'process').find(({ process, data }) => data['event'] === 'EXIT' && process === key);

  it('a fork tree: parents, exit codes, the signal and the folder', async () => {
    const events = await trace([programPath('forktree.sh')], 9);
    const root = execOf(events, programPath('forktree.sh'));
    expect(root).toBeDefined();
    const ends = { 'mark-exit-3': 3, 'mark-exit-5': 5, 'mark-exit-7': 7, 'mark-background': 0 };
    for (const [mark, code] of Object.entries(ends)) {
      const exec = execOf(events, mark);
      expect(exitOf(events, exec?.process), mark).toMatchObject({ data: { exit_code: code, signal: null } });
      expect(exec?.session).toBe(root?.process);
    }
    expect(exitOf(events, execOf(events, 'mark-sigterm')?.process)).toMatchObject({ data: { exit_code: null, signal: 'SIGTERM' } });
    expect(execOf(events, 'mark-exit-7')?.data['parent']).toBe(execOf(events, 'mark-exit-5')?.process);
    expect(execOf(events, 'mark-exit-3')?.data['parent']).toBe(root?.process);
    expect(execOf(events, 'mark-background')?.data['cwd']).toBe('/');
    expect(exitOf(events, root?.process)).toMatchObject({ data: { exit_code: 9 } });
  });

  it('every process that forked also ended, once', async () => {
    const events = ofSource(await trace([programPath('forktree.sh')], 9), 'process');
    const forked = events.filter(({ data }) => data['event'] === 'FORK').map(({ process }) => process);
    const ended = events.filter(({ data }) => data['event'] === 'EXIT').map(({ process }) => process);
    expect(new Set(forked).size).toBe(forked.length);
    expect(new Set(ended).size).toBe(ended.length);
    for (const key of forked) expect(ended).toContain(key);
  });

  it('1,000 short processes, none missing', async () => {
    const events = ofSource(await trace([programPath('crowd.sh'), '1000'], 0), 'process');
    const numbers = new Map<string, string | null>();
    for (const { process, data } of events) {
      const mark = data['event'] === 'EXEC' ? (data['argv'] as string[])[1] : undefined;
      if (mark?.startsWith('crowd-')) numbers.set(mark, process);
    }
    expect(numbers.size).toBe(1000);
    const ended = new Set(events.filter(({ data }) => data['event'] === 'EXIT' && data['exit_code'] === 0).map(({ process }) => process));
    for (const key of numbers.values()) expect(ended.has(key)).toBe(true);
  });

  it('a long command line and words with spaces, quotes and newlines', async () => {
    const words = ['a b', '"quoted"', 'two\nlines', '', 'é', 'x'.repeat(20_000)];
    const events = await trace(['/bin/true', ...words], 0);
    const exec = ofSource(events, 'process').find(({ data }) => data['event'] === 'EXEC');
    expect(exec?.data['argv']).toEqual(['/bin/true', ...words]);
    expect(exec?.data['truncated']).toBe(false);
  });

  it('standard streams: what was written, where, and by whom', async () => {
    const program = 'import os; os.write(1, b"to-stdout\\n"); os.write(2, b"to-stderr\\n")';
    const events = await trace(['sh', '-c', `/usr/bin/python3 -c '${program}'; echo through-pipe | cat >/dev/null`], 0);
    const chunks = ofSource(events, 'stdio').map(({ comm, data }) => ({
      comm, role: data['role'], direction: data['direction'], payload: data['payload'], target: String(data['target']),
    }));
    expect(chunks).toContainEqual(expect.objectContaining({ role: 'stdout', direction: 'write', payload: 'to-stdout\n' }));
    expect(chunks).toContainEqual(expect.objectContaining({ role: 'stderr', direction: 'write', payload: 'to-stderr\n' }));
    expect(chunks).toContainEqual(expect.objectContaining({ comm: 'cat', role: 'stdin', direction: 'read', payload: 'through-pipe\n' }));
    const pipe = chunks.find(({ payload, direction }) => payload === 'through-pipe\n' && direction === 'read')?.target;
    expect(pipe).toMatch(/^pipe:\[\d+\]$/);
    expect(chunks.find(({ payload, direction }) => payload === 'through-pipe\n' && direction === 'write')?.target).toBe(pipe);
  });

  it('a 1 MiB write is whole', async () => {
    const size = 1024 * 1024;
    const events = await trace(['/usr/bin/python3', '-c', `import os\nos.write(1, b"m" * ${size})`], 0);
    const chunks = ofSource(events, 'stdio').filter(({ data }) => data['direction'] === 'write' && data['role'] === 'stdout');
    const text = chunks.map(({ data }) => String(data['payload'])).join('');
    expect(text).toBe('m'.repeat(text.length));
    expect(text.length).toBe(size);
    expect(chunks.map(({ data }) => data['total'])).toEqual(chunks.map(() => size));
    expect(chunks.every(({ data }) => data['truncated'] === false && data['fault'] === false)).toBe(true);
  });
});
