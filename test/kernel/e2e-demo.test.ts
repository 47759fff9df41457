/**
 * The demo agent under trace: its talk with the model, its tools and its MCP
 * server are all in the file, and its key is not.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ofSource, parseEvents, runCli, type CliResult, type FileEvent } from '../helpers/cli.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';

const KEY = `sk-ant-api03-${'k3Y'.repeat(24)}`;
/** Two turns: look and correct, then the answer; ask the notes, write, then the answer. */
const CALLS = 5;

describeKernel('trace -- the demo agent', () => {
  let dir: TempDir;
  let result: CliResult;
  let text: string;
  let events: FileEvent[];

  beforeAll(async () => {
    dir = tempDir();
    const file = dir.file('demo.jsonl');
    const command = [process.execPath, programPath('demo/main.mjs')];
    result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--', ...command], { env: { ANTHROPIC_API_KEY: KEY } });
    text = readFileSync(file, 'utf8');
    events = parseEvents(text);
  });
  afterAll(() => dir.remove());

  it('ends well, with nothing lost', () => {
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(result.stdout).toContain('Done: todo.md now ends with the release date');
    expect(result.stderr).toContain('nothing lost');
    expect(ofSource(events, 'loss')).toEqual([]);
  });

  it('every call of the model, with what was asked and how it was answered', () => {
    const calls = ofSource(events, 'http').filter(({ data }) => data['role'] === 'client');
    expect(calls).toHaveLength(CALLS);
    for (const { data } of calls) {
      expect(data).toMatchObject({ method: 'POST', path: '/v1/messages', status: 200, state: 'complete' });
      const asked = JSON.parse(String(data['request_body'])) as { model: string; stream: boolean };
      expect(asked).toMatchObject({ model: 'claude-demo-1', stream: true });
      expect(data['response_headers']).toMatchObject({ 'content-type': ['text/event-stream; charset=utf-8'] });
    }
  });

  it('the other end of the same calls, seen in the server', () => {
    const answered = ofSource(events, 'http').filter(({ data }) => data['role'] === 'server');
    expect(answered).toHaveLength(CALLS);
    const asked = ofSource(events, 'http').filter(({ data }) => data['role'] === 'client');
    expect(new Set(answered.map(({ data }) => data['request_body']))).toEqual(new Set(asked.map(({ data }) => data['request_body'])));
  });

  it('the stream of each reply, event by event', () => {
    for (const { data } of ofSource(events, 'http').filter((call) => call.data['role'] === 'client')) {
      const stream = ofSource(events, 'sse').filter((event) => event.data['exchange'] === data['exchange']);
      expect(stream).toHaveLength(Number(data['sse_events']));
      expect(stream.at(0)?.data['event']).toBe('message_start');
      expect(stream.at(-1)?.data['event']).toBe('message_stop');
      expect(stream.filter((event) => event.data['event'] === 'content_block_delta').length).toBeGreaterThan(2);
    }
  });

  it('the shell command that the model asked for', () => {
    const shells = ofSource(events, 'process').filter(
      ({ data }) => data['event'] === 'EXEC' && String(data['filename']).endsWith('bash'),
    );
    expect(shells.map(({ data }) => data['argv'])).toEqual([
      ['bash', '-c', 'ls -la && wc -l *.md && grep -n recieve README.md'],
      ['bash', '-c', 'echo "- release on 2031-05-17" >> todo.md && tail -n 1 todo.md'],
    ]);
    for (const { data } of shells) expect(String(data['cwd'])).toMatch(/agentsight-demo-/);
  });

  it('the JSON-RPC on the standard streams of the MCP server', () => {
    const server = ofSource(events, 'process').find(
      ({ data }) => data['event'] === 'EXEC' && (data['argv'] as string[]).some((word) => word.endsWith('mcp-server.mjs')),
    );
    const streams = ofSource(events, 'stdio').filter(({ process }) => process === server?.process);
    const read = streams.filter(({ data }) => data['role'] === 'stdin').map(({ data }) => String(data['payload'])).join('');
    const written = streams.filter(({ data }) => data['role'] === 'stdout').map(({ data }) => String(data['payload'])).join('');
    const methods = read.trim().split('\n').map((line) => (JSON.parse(line) as { method: string }).method);
    expect(methods).toEqual(['initialize', 'notifications/initialized', 'tools/list', 'tools/call']);
    expect(written).toContain('release planned for 2031-05-17');
  });

  it('each of these calls, with the server and the agent that asked it', () => {
    const programs = ofSource(events, 'process').filter(({ data }) => data['event'] === 'EXEC');
    const processOf = (script: string) => programs.find(({ data }) => (data['argv'] as string[]).some((word) => word.endsWith(script)))?.process;
    const calls = ofSource(events, 'mcp');
    expect(calls.map(({ data }) => [data['kind'], data['method'], data['state']])).toEqual([
      ['call', 'initialize', 'complete'], ['notification', 'notifications/initialized', 'complete'], ['call', 'tools/list', 'complete'], ['call', 'tools/call', 'complete'],
    ]);
    for (const { process, data } of calls) {
      expect(process).toBe(processOf('mcp-server.mjs'));
      expect(data).toMatchObject({ role: 'server' });
    }
    // Of the last ones the agent may have gone before it was looked for.
    const agents = calls.map(({ data }) => (data['peer'] as { readonly process: string } | null)?.process);
    expect(agents[0]).toBe(processOf('agent.mjs'));
    expect(new Set(agents.filter((agent) => agent !== undefined)).size).toBe(1);
  });

  it('the key is masked where it stood, and is nowhere in the file', () => {
    // Not `not.toContain`: a failure would print the whole file.
    expect(text.includes(KEY)).toBe(false);
    expect(text.includes('k3Yk3Yk3Y')).toBe(false);
    for (const { data } of ofSource(events, 'http')) {
      expect(data['redacted']).toBeGreaterThanOrEqual(1);
      expect((data['request_headers'] as Record<string, string[]>)['x-api-key']).toHaveLength(1);
    }
  });

  it('all of it is one session', () => {
    const sessions = new Set(events.filter(({ pid, session }) => pid !== 0 && session !== null).map(({ session }) => session));
    expect(sessions.size).toBe(1);
  });
});
