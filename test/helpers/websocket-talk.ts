/** A talk over WebSockets under `trace`, compared with what its ends say that they said. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type FileEvent, ofSource, parseEvents, readEvents, runCli } from './cli.ts';
import { programPath, type TempDir } from './files.ts';
import { buildGo } from './go.ts';

const SECRET = `sk-ant-api03-${'Q7x'.repeat(20)}`;

type Said = readonly (readonly [opcode: string, text: string])[];

export interface Talk {
  /** `nginx`: it has TLS, and passes on to a server that has none. */
  readonly transport: 'tls' | 'plain' | 'nginx';
  readonly coding: 'whole' | 'deflate';
  /** `go`: its server too. */
  readonly client: 'ws' | 'chromium' | 'python' | 'go';
}

/** Every message of every end, and a masked capture that says the same. cert.pem and key.pem are in the folder. */
export async function expectTalk(dir: TempDir, { transport, coding, client }: Talk): Promise<void> {
  const file = dir.file('trace.jsonl');
  const talk = client === 'go'
    ? [buildGo(dir.path, 'websocket.go', { name: 'websocket', flags: [] }), dir.path, transport, coding, SECRET]
    : [process.execPath, programPath('websocket-talk.mjs'), dir.path, transport, coding, SECRET, client];
  const source = transport === 'plain' ? 'net,http,websocket' : transport === 'tls' ? 'tls,http,websocket' : 'tls,net,http,websocket';
  const result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--raw', '--source', source, '--', ...talk], { cwd: dir.path, deadlineMs: 200_000 });
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(result.stderr).toContain('nothing lost');
  expect(readFileSync(file, 'utf8').includes('sk-ant')).toBe(false);
  const events = readEvents(file);
  const said = JSON.parse(readFileSync(dir.file('said.json'), 'utf8').replaceAll(SECRET, '*'.repeat(SECRET.length))) as Record<'client' | 'server', Said>;
  const messages = ofSource(events, 'websocket').map(({ data }) => data);
  expect(messages.every((data) => data['state'] === 'complete')).toBe(true);
  expect(messages.some((data) => data['compressed'] === true)).toBe(coding === 'deflate');
  expect(messages.some((data) => data['fragments'] === 2)).toBe(true);
  // nginx is a server, and a client of its own.
  const handshakes = ofSource(events, 'http').map(({ data }) => data).filter((data) => String(data['url']).endsWith('/talk'));
  expect(handshakes.map((data) => [data['role'], data['status']].join(' ')).toSorted())
    .toEqual((transport === 'nginx' ? ['client 101', 'client 101', 'server 101', 'server 101'] : ['client 101', 'server 101']));
  for (const { role, connection } of handshakes as unknown as readonly { readonly role: string; readonly connection: string }[]) {
    expect(told(events, connection, role === 'client' ? 'write' : 'read')).toEqual(said.client);
    expect(told(events, connection, role === 'client' ? 'read' : 'write')).toEqual(said.server);
  }
  const replayed = await runCli(['replay', '--json', file], { deadlineMs: 60_000 });
  expect(replayed, replayed.stderr).toMatchObject({ code: 0 });
  expect(comparable(parseEvents(replayed.stdout))).toEqual(comparable(events));
}

function told(events: readonly FileEvent[], connection: unknown, direction: string): Said {
  return ofSource(events, 'websocket').map(({ data }) => data)
    .filter((data) => data['connection'] === connection && data['direction'] === direction)
    .map((data) => [String(data['opcode']), data['opcode'] === 'close' ? `${String(data['close_code'])} ${String(data['close_reason'])}` : String(data['body'])]);
}

/** What names a secret is of one run alone. */
function comparable(events: readonly FileEvent[]): unknown[] {
  return ofSource(events, 'websocket').map(({ data, timestamp, pid }) => ({ timestamp, pid, data: { ...data, secrets: null } }));
}
