/** WebSockets of `ws` under `trace`, over TLS and bare, compressed and not: both ends of each say what they sent. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CERTIFICATE_PROGRAM, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { type FileEvent, ofSource, parseEvents, readEvents, runCli } from '../helpers/cli.ts';
import { describeKernel } from '../helpers/privilege.ts';

const SECRET = `sk-ant-api03-${'Q7x'.repeat(20)}`;

type Said = readonly (readonly [opcode: string, text: string])[];

function told(events: readonly FileEvent[], connection: unknown, direction: string): Said {
  return ofSource(events, 'websocket').map(({ data }) => data)
    .filter((data) => data['connection'] === connection && data['direction'] === direction)
    .map((data) => [String(data['opcode']), data['opcode'] === 'close' ? `${String(data['close_code'])} ${String(data['close_reason'])}` : String(data['body'])]);
}

/** What names a secret is of one run alone. */
function comparable(events: readonly FileEvent[]): unknown[] {
  return ofSource(events, 'websocket').map(({ data, timestamp, pid }) => ({ timestamp, pid, data: { ...data, secrets: null } }));
}

describeKernel('WebSockets under trace', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = tempDir();
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
  });
  afterEach(() => dir.remove());

  for (const [transport, coding] of [['tls', 'whole'], ['tls', 'deflate'], ['plain', 'whole'], ['plain', 'deflate']] as const) {
    it(`${transport}, ${coding}: every message of both ends, and a masked capture that says the same`, { timeout: 240_000 }, async () => {
      const file = dir.file('trace.jsonl');
      const talk = [process.execPath, programPath('websocket-talk.mjs'), dir.path, transport, coding, SECRET];
      const source = transport === 'tls' ? 'tls,http,websocket' : 'net,http,websocket';
      const result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--raw', '--source', source, '--', ...talk], { cwd: dir.path, deadlineMs: 200_000 });
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(result.stderr).toContain('nothing lost');
      const text = readFileSync(file, 'utf8');
      expect(text.includes('sk-ant')).toBe(false);
      const events = readEvents(file);
      const said = JSON.parse(readFileSync(dir.file('said.json'), 'utf8').replaceAll(SECRET, '*'.repeat(SECRET.length))) as Record<'client' | 'server', Said>;
      const messages = ofSource(events, 'websocket').map(({ data }) => data);
      expect(messages.every((data) => data['state'] === 'complete')).toBe(true);
      expect(messages.some((data) => data['compressed'] === true)).toBe(coding === 'deflate');
      expect(messages.some((data) => data['fragments'] === 2)).toBe(true);
      const handshakes = ofSource(events, 'http').map(({ data }) => data);
      expect(handshakes.map((data) => data['status'])).toEqual([101, 101]);
      for (const { role, connection } of handshakes as unknown as readonly { readonly role: string; readonly connection: string }[]) {
        expect(told(events, connection, role === 'client' ? 'write' : 'read')).toEqual(said.client);
        expect(told(events, connection, role === 'client' ? 'read' : 'write')).toEqual(said.server);
      }
      const replayed = await runCli(['replay', '--json', file], { deadlineMs: 60_000 });
      expect(replayed, replayed.stderr).toMatchObject({ code: 0 });
      expect(comparable(parseEvents(replayed.stdout))).toEqual(comparable(events));
    });
  }
});
