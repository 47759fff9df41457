/** What a trace says of clients and servers, compared with the log that each of them wrote itself. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { ofSource, readEvents, runCli } from './cli.ts';
import { programPath, type TempDir } from './files.ts';

/** Of the driver that waits for a server, and what browsers ask for by themselves. */
const ASIDE = /\?up( |$)|\/favicon\.ico/;

/** Traces `servers.mjs MODE FOLDER …`: methods, targets, status codes, sizes of bodies, versions, and how often. */
export async function expectLogged(dir: TempDir, [mode, ...words]: readonly string[], asked: number): Promise<void> {
  const file = dir.file('trace.jsonl');
  const load = [process.execPath, programPath('servers.mjs'), mode ?? '', dir.path, ...words];
  const result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--source', 'http', '--', ...load], { cwd: dir.path, deadlineMs: 150_000 });
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(result.stderr).toContain('nothing lost');
  const exchanges = ofSource(readEvents(file), 'http').map(({ data }) => data).filter((data) => !ASIDE.test(String(data['url'])));
  for (const [role, log] of [['client', 'client.log'], ['server', 'server.log']] as const) {
    const side = exchanges.filter((data) => data['role'] === role);
    const told = side.map((data) => [
      data['method'], new URL(String(data['url'])).pathname + new URL(String(data['url'])).search, data['status'], data['response_body_bytes'], data['http_version'],
    ].join(' '));
    expect(told.toSorted(), role).toEqual(logLines(dir.file(log)));
    expect(told, role).toHaveLength(asked);
    const whole = side.filter((data) => !isUnread(data));
    expect(whole.filter((data) => data['state'] !== 'complete').map((data) => [data['method'], data['url'], data['reason']]), role).toEqual([]);
    for (const data of whole) expect(data['request_body_bytes'], String(data['url'])).toBe(data['method'] === 'POST' ? 50 : 0);
  }
}

function logLines(path: string): string[] {
  return readFileSync(path, 'utf8').trim().split('\n').filter((line) => !ASIDE.test(line))
    .map((line) => line.replace(/HTTP\/(\d)\.0$/, '$1').replace('HTTP/1.1', '1.1')).toSorted();
}

/** nginx answers a POST to a fixed text without its body, and in HTTP/2 asks the client not to send it (RFC 9113 §8.1). */
function isUnread(data: Readonly<Record<string, unknown>>): boolean {
  return data['method'] === 'POST' && data['reason'] === 'stream reset: NO_ERROR';
}
