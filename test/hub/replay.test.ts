/** `replay --hub`: a capture in the API, with the embedded engine and with a store by URL. */
import { createClient, ClickHouseLogLevel } from '@clickhouse/client';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiEvent, Exchange, Info } from '../../src/hub/api.ts';
import { EngineProcess, type EngineAddress } from '../../src/hub/engine/process.ts';
import { ofSource, readEvents, runCli, startCli, type CliResult } from '../helpers/cli.ts';
import { ROOT } from '../helpers/files.ts';
import { getAll, getJson, type HubFacts } from '../helpers/hub.ts';
import { hubFolderPerTest } from '../helpers/hub-folder.ts';
import { FREE_DISK_BYTES } from './support.ts';

const CAPTURE = join(ROOT, 'test/captures/demo.jsonl');

const folder = hubFolderPerTest();

const replay = (...args: readonly string[]): Promise<CliResult> =>
  runCli(['replay', '-q', '--hub', '--data-dir', folder.dataDir, '--server-port', '0', ...args, CAPTURE]);

/** Each event of the capture once, and of each of its HTTP events an exchange. */
async function expectCaptureIn(hub: HubFacts): Promise<void> {
  const recorded = readEvents(CAPTURE);
  const events = await getAll<ApiEvent>(hub, '/events?limit=1000');
  expect(events.map(({ id }) => id).sort()).toEqual(recorded.map(({ id }) => id).sort());
  const exchanges = await getAll<Exchange>(hub, '/exchanges');
  const calls = ofSource(recorded, 'http');
  expect(calls.length).toBeGreaterThan(0);
  expect(exchanges.map(({ id, method, status }) => [id, method, status]).sort())
    .toEqual(calls.map(({ id, data }) => [id, data['method'], data['status']]).sort());
}

describe('replay --hub', () => {
  it('what the capture holds is in the API, its exchanges with method and status', async () => {
    const result = await replay();
    expect(result.code, result.stderr).toBe(0);
    await expectCaptureIn(folder.facts());
  });
});

describe('--store URL', () => {
  let engine: EngineProcess;
  let address: EngineAddress | undefined;
  beforeEach(async () => {
    engine = new EngineProcess({
      path: folder.dir.file('elsewhere'), mergedPartBytes: 64 * 1024 * 1024, freeDiskBytes: FREE_DISK_BYTES,
      onUp: (up) => { address = up; }, onDown: () => undefined, log: () => undefined,
    });
    await engine.start();
  });
  afterEach(() => engine.close());

  it('stores in the server at that URL and answers from it; no engine of its own', async () => {
    const { url, user, key } = address ?? expect.fail('the engine gave no address');
    const store = Object.assign(new URL(url), { username: user, password: key }).href;
    const serve = startCli(['serve', '--data-dir', folder.dataDir, '--port', '0', '--store', store]);
    await serve.said(/http:\S+token=\S+\s/);
    const result = await replay();
    expect(result.code, result.stderr).toBe(0);
    await expectCaptureIn(folder.facts());
    const info = await getJson(folder.facts(), '/info') as Info;
    expect(info.store).toMatchObject({ kind: 'server', state: 'ready' });

    const client = createClient({ url, username: user, password: key, log: { level: ClickHouseLogLevel.OFF } });
    const stored = await client.query({ query: 'SELECT count() AS n FROM events', format: 'JSONEachRow' });
    expect(await stored.json()).toEqual([{ n: String(readEvents(CAPTURE).length) }]);
    await client.close();

    expect((await serve.interrupt()).code).toBe(0);
    // A hub that comes later finds it all there.
    const later = startCli(['serve', '--data-dir', folder.dataDir, '--port', '0', '--store', store]);
    await later.said(/http:\S+token=\S+\s/);
    await expectCaptureIn(folder.facts());
    expect((await later.interrupt()).code).toBe(0);
  });
});
