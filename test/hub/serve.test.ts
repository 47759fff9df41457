/** `serve` as a user runs it: a hub of its own, joined by a second one, ended by Ctrl-C or --stop. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runCli, startCli } from '../helpers/cli.ts';
import type { RunningCli } from '../helpers/cli.ts';
import { hubFolderPerTest } from '../helpers/hub-folder.ts';
import { waitFor } from '../helpers/wait.ts';

const folder = hubFolderPerTest();

async function serve(): Promise<{ readonly cli: RunningCli; readonly url: string }> {
  const cli = startCli(['serve', '--port', '0', '--data-dir', folder.dataDir]);
  await cli.said(/http:\S+token=\S+\s/);
  return { cli, url: /http:\S+/.exec(cli.stderr())?.[0] ?? '' };
}

function health(url: string): Promise<Response> {
  return fetch(new URL('/health', url));
}

describe('serve', () => {
  it('prints the page, is joined by a second one, and takes the hub along when it ends', async () => {
    const first = await serve();
    expect((await health(first.url)).status).toBe(200);
    const second = await serve();
    expect(second.url).toBe(first.url);
    expect((await second.cli.interrupt()).code).toBe(0);
    expect((await health(first.url)).status, 'the hub is the first one’s').toBe(200);
    expect((await first.cli.interrupt()).code).toBe(0);
    await expect(health(first.url)).rejects.toThrow();
    expect(existsSync(`${folder.dataDir}/hub.json`)).toBe(false);
  });

  it('ends when the hub is ended by --stop', async () => {
    const { cli } = await serve();
    const stop = await runCli(['serve', '--stop', '--data-dir', folder.dataDir]);
    expect([stop.code, stop.stderr]).toEqual([0, 'the hub has ended\n']);
    expect((await cli.result).code).toBe(0);
    expect((await runCli(['serve', '--stop', '--data-dir', folder.dataDir])).stderr).toContain('no hub is running');
  });

  it('starts a hub that was killed again, under its address', async () => {
    const { cli, url } = await serve();
    const { pid } = JSON.parse(readFileSync(`${folder.dataDir}/hub.json`, 'utf8')) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await cli.said('the hub was started again');
    await waitFor('the hub to answer', () => health(url).then(({ ok }) => ok, () => false));
    expect((await cli.interrupt()).code).toBe(0);
  });
});
