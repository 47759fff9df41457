import { describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { runCli } from '../helpers/cli.ts';
import { ROOT, tempDir } from '../helpers/files.ts';

const RAW_CAPTURE = join(ROOT, 'test/captures/demo-raw.jsonl');
const CAPTURE = join(ROOT, 'test/captures/demo.jsonl');

describe('explain', () => {
  it('says how a filter was understood', async () => {
    const { code, stdout } = await runCli(['explain', 'status>=400 && !host']);
    expect(stdout).toBe([
      'events are kept where', '  all of', '    status is at least 400', '    not', '      host is there, and neither false nor empty',
      '  in full: status >= 400 AND NOT host', '',
    ].join('\n'));
    expect(code).toBe(0);
  });

  it('translates AgentSight\'s, and tells their traps', async () => {
    const { stdout } = await runCli(['explain', '--http-filter', 'response.body=']);
    expect(stdout).toContain('as ours: --exclude \'source = "http" AND response_body = (null, "")\'');
    expect(stdout).toContain('note: response.body= matched every response');
  });

  it('says of chunks that they are left out before anything is parsed', async () => {
    const { stdout } = await runCli(['explain', '--ssl-filter', 'len>100 & function=READ/RECV']);
    expect(stdout).toContain('chunks are left out, before anything is parsed of them, where');
    expect(stdout).toContain('as ours: --exclude-chunk \'total > 100 AND direction = "read"\'');
  });

  it('points at what it does not understand', async () => {
    const { code, stderr } = await runCli(['explain', 'sttaus >= 400']);
    expect(code).toBe(2);
    expect(stderr).toBe('agentsight-ts: could not read the filter at column 1: there is no field sttaus; did you mean status?\n  hint: sttaus >= 400\n        ^\n');
  });
});

describe('a replay', () => {
  it('keeps what --where and --exclude leave', async () => {
    const dir = tempDir();
    try {
      const file = dir.file('out.jsonl');
      const { code, stderr } = await runCli([
        'replay', CAPTURE, '--no-redact', '-q', '-o', file, '--where', 'source IN (http, process)', '--exclude', 'event = FORK', '--exclude', 'response.header.content-type ~ event-stream',
      ]);
      expect(code, stderr).toBe(0);
      const kept = readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as { source: string; data: Record<string, unknown> });
      const whole = readFileSync(CAPTURE, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as { source: string; data: Record<string, unknown> });
      const aboutUs = (source: string): boolean => ['probe', 'loss', 'log'].includes(source);
      const isStream = (data: Record<string, unknown>): boolean => JSON.stringify((data['response_headers'] as Record<string, string[]> | undefined)?.['content-type'] ?? '').includes('event-stream');
      const expected = whole.filter(({ source, data }) =>
        aboutUs(source) || (['http', 'process'].includes(source) && data['event'] !== 'FORK' && !isStream(data)));
      expect(expected.length).toBeGreaterThan(3);
      // And that it is not redacted, which every output begins with.
      expect(kept.map(({ source }) => source).toSorted()).toEqual(['log', ...expected.map(({ source }) => source)].toSorted());
    } finally {
      dir.remove();
    }
  });

  it('parses anew without the chunks that --exclude-chunk leaves out', async () => {
    const dir = tempDir();
    const answered = async (...flags: readonly string[]): Promise<number> => {
      const file = dir.file(`${flags.join('').replaceAll(/\W/g, '')}.jsonl`);
      const { code, stderr } = await runCli(['replay', RAW_CAPTURE, '-q', '-o', file, '--where', 'source = http', ...flags]);
      expect(code, stderr).toBe(0);
      const events = readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as { source: string; data: Record<string, unknown> });
      return events.filter(({ source, data }) => source === 'http' && data['status'] !== null).length;
    };
    try {
      const all = await answered();
      // Exchanges that say more than their chunks stay as they were recorded.
      expect(await answered('--exclude-chunk', 'direction = read')).toBeLessThan(all);
      expect(await answered('--exclude-chunk', 'comm = nobody')).toBe(all);
    } finally {
      dir.remove();
    }
  });
});
