/** The whole program at once: the page in a browser while the demo agent is traced by the real command. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli, startCli, type RunningCli } from '../helpers/cli.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { launchBrowser } from './browser.ts';

const DEMO_KEY = 'sk-ant-demo03';

describeKernel('the page while a trace runs', () => {
  let dir: TempDir;
  let browser: Browser;
  let page: Page;
  let trace: RunningCli;

  beforeAll(async () => {
    dir = tempDir();
    browser = await launchBrowser();
    page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.setDefaultTimeout(45_000);
    // It repeats until it is told to end, so that the page surely opens while it runs.
    trace = startCli(['trace', '--data-dir', dir.file('data'), '--server-port', '0', '--', process.execPath, programPath('demo/main.mjs'), '--repeat', '0']);
    await trace.said('live page: ');
    await page.goto(/live page: (\S+)/.exec(trace.stderr())?.[1] ?? '');
  });

  afterAll(async () => {
    trace?.child.kill('SIGTERM');
    await trace?.result;
    await browser?.close();
    await runCli(['serve', '--stop', '--data-dir', dir.file('data')]);
    dir.remove();
  });

  it('grows the tree and the list by what the agent does', async () => {
    await page.getByRole('treeitem', { name: /node agent\.mjs/ }).first().waitFor();
    await page.getByRole('treeitem', { name: /mcp-server\.mjs/ }).first().waitFor();
    await page.getByRole('button', { name: 'live', exact: true }).waitFor();
    const before = await shownEvents();
    await expect.poll(shownEvents, { timeout: 45_000 }).toBeGreaterThan(before);
  });

  it('shows a model call with its reply and without its key', async () => {
    await page.getByRole('searchbox').or(page.getByPlaceholder(/^Filter/)).first().fill('source:http');
    await page.getByRole('row').filter({ hasText: '/v1/messages' }).first().click();
    await page.getByRole('region', { name: 'Response' }).getByText('tool · Bash').first().waitFor();
    await page.getByText(/secrets? masked/).first().waitFor();
    expect(await page.content()).not.toContain(DEMO_KEY);
  });

  it('says how the agent ended', async () => {
    trace.child.kill('SIGTERM');
    expect((await trace.result).code).toBe(143);
    await page.getByText(/^recorded/).waitFor();
  });

  async function shownEvents(): Promise<number> {
    const heading = await page.getByRole('heading', { name: /^Events/ }).textContent();
    return Number((heading ?? '').replace(/\D/g, ''));
  }
});
