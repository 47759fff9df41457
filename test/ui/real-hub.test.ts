import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiEvent } from '../../src/hub/api.ts';
import { type LinkClient, openLinkClient } from '../helpers/link-client.ts';
import { type TestHub, startTestHub } from '../hub/support.ts';
import { type BuiltPage, buildPage, launchBrowser } from './browser.ts';
import { type FixtureSession, buildAgentSession } from './fixture-session.ts';

let built: BuiltPage;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let hub: TestHub;
let link: LinkClient;
let fixture: FixtureSession;

beforeAll(async () => {
  built = await buildPage();
  [hub, browser] = await Promise.all([startTestHub({ pageDir: built.folder }), launchBrowser()]);
  link = await openLinkClient(hub.hub.socketPath, 'page.boot.coll');
  const startNs = BigInt(Date.now() - 70_000) * 1_000_000n;
  fixture = buildAgentSession({ startNs, name: 'page', running: true, pid: 6121 });
  await link.acknowledged(await link.send(lines(fixture.events)));
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  page = await context.newPage();
  page.setDefaultTimeout(45_000);
}, 180_000);

afterAll(async () => {
  await context?.close();
  await browser?.close();
  link?.close();
  await hub?.close();
  await built?.remove();
});

describe('the page on a real hub and its store', { timeout: 240_000 }, () => {
  it('shows the stored session: tree, lanes and every event', async () => {
    await page.goto(hub.hub.url);
    await page.getByRole('treeitem', { name: /claude .*pid 6121, running/ }).waitFor();
    await page.getByRole('treeitem', { name: /sleep 30, .*killed by SIGKILL/ }).waitFor();
    await expect.poll(shownEvents, { timeout: 45_000 }).toBe(fixture.events.length);
    await page.getByRole('button', { name: 'Lost events: 312' }).waitFor();
  });

  it('shows a stored exchange whole, with when each piece of its stream arrived', async () => {
    const exchange = fixture.events.find((event) => event.source === 'http' && event.data['sse_events'] !== null);
    await page.goto(`${hub.hub.url}&sel=event:${exchange?.id}`);
    const response = page.getByRole('region', { name: 'Response' });
    await response.getByText('tool · Bash').waitFor();
    await response.getByRole('tab', { name: 'Events' }).click();
    await response.getByText(/^\+\d/).first().waitFor();
  });

  it('shows what arrives while it is open within two seconds', async () => {
    await page.goto(hub.hub.url);
    await expect.poll(shownEvents, { timeout: 45_000 }).toBe(fixture.events.length);
    await page.getByRole('button', { name: 'live', exact: true }).waitFor();
    const before = Date.now();
    await link.send(lines([liveEvent('seen live')]));
    await page.getByRole('gridcell', { name: 'seen live' }).waitFor();
    expect(Date.now() - before).toBeLessThan(2000);
  });
});

async function shownEvents(): Promise<number> {
  const heading = await page.getByRole('heading', { name: /^Events/ }).textContent();
  return Number((heading ?? '').replace(/\D/g, ''));
}

function liveEvent(payload: string): ApiEvent {
  const process = fixture.processes[0]?.process ?? null;
  return {
    id: `page.boot.coll.900001`, timestamp: String(BigInt(Date.now()) * 1_000_000n), source: 'stdio', pid: 6121, comm: 'claude', process, session: fixture.session.session,
    data: { fd: 1, role: 'stdout', target: 'pipe:[1]', direction: 'write', len: payload.length, total: payload.length, offset: 0, truncated: false, fault: false, tid: 6121, payload, payload_encoding: 'utf8' },
  };
}

/** As a collector writes them: the timestamp first and bare. */
function lines(events: readonly ApiEvent[]): Buffer {
  return Buffer.from(events.map(({ timestamp, ...rest }) => `{"timestamp":${timestamp},${JSON.stringify(rest).slice(1)}\n`).join(''));
}
