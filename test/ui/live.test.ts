import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BuiltPage, buildPage, launchBrowser } from './browser.ts';
import { startFixtureHub } from './fixture-hub.ts';
import { type PageFixture, nowNs, stdout, openPage } from './page-fixture.ts';

let built: BuiltPage;
let browser: Browser;
let on: PageFixture;

beforeAll(async () => {
  [built, browser] = await Promise.all([buildPage(), launchBrowser()]);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await built?.remove();
});

beforeEach(async () => {
  on = await openPage(browser, built.folder);
});

afterEach(() => on.close());

/** What came live has been looked for: nothing is asked between two lists of sessions. */
async function searchesSettle(): Promise<void> {
  await expect.poll(async () => {
    const asked = on.hub.searches();
    await on.page.waitForResponse((response) => response.url().includes('/sessions'));
    return on.hub.searches() - asked;
  }, { timeout: 45_000 }).toBe(0);
}

describe('a running session', { timeout: 240_000 }, () => {
  it('shows frames as they arrive, and counts them while paused', async () => {
    const fixture = on.running();
    await on.openWithEvents();
    await on.page.getByRole('button', { name: 'live', exact: true }).waitFor();
    await on.livePage();
    on.hub.push([stdout(fixture, 'first line'), stdout(fixture, 'second line')]);
    await on.showsEvents(fixture.events.length + 2);
    await on.page.keyboard.press('.');
    on.hub.push([stdout(fixture, 'third line')]);
    await on.page.getByRole('button', { name: /paused \+1/ }).waitFor();
    await on.page.keyboard.press('.');
    await on.page.getByRole('button', { name: 'live', exact: true }).waitFor();
  });

  it('grows the process tree from live events', async () => {
    const fixture = on.running();
    await on.openWithEvents();
    await on.livePage();
    const root = fixture.processes[0]?.process ?? '';
    const common = { pid: 7001, comm: 'make', process: 'live.boot.1.7001', session: fixture.session.session, source: 'process' };
    on.hub.push([
      { ...common, id: 'live.f', timestamp: String(nowNs()), data: { event: 'FORK', ppid: 5121, parent: root } },
      { ...common, id: 'live.e', timestamp: String(nowNs()), data: { event: 'EXEC', ppid: 5121, parent: root, filename: '/usr/bin/make', argv: ['make', 'check'], cwd: '/', uid: 0 } },
      { ...common, id: 'live.x', timestamp: String(nowNs()), data: { event: 'EXIT', ppid: 5121, exit_code: 2, signal: null, duration_ms: 5, peak_rss_bytes: 1048576 } },
    ]);
    await on.page.keyboard.press('j');
    await on.page.getByRole('tree', { name: 'Processes' }).hover();
    await on.page.mouse.wheel(0, 5000);
    await on.page.getByRole('treeitem', { name: /make check, pid 7001, exit code 2/ }).waitFor();
  });

  it('fetches what the live stream dropped, and shows the blind band until then', async () => {
    const fixture = on.running();
    await on.openWithEvents();
    await on.livePage();
    const release = on.hub.holdEvents();
    on.hub.push([stdout(fixture, 'unsent one'), stdout(fixture, 'unsent two')], { dropped: true });
    await on.page.getByRole('button', { name: /Lost events/ }).getByText('1 blind').waitFor();
    expect(await on.timeline().getAttribute('aria-label')).toContain('1 blind gap');
    release();
    await on.showsEvents(fixture.events.length + 2);
    await on.page.getByText('1 blind').waitFor({ state: 'hidden' });
  });

  it('does not take what the live stream dropped of other sessions for its own', async () => {
    const fixture = on.running();
    await on.openWithEvents();
    await on.livePage();
    const release = on.hub.holdEvents();
    on.hub.pushDropped(40);
    await on.page.getByRole('button', { name: /Lost events/ }).getByText('1 blind').waitFor();
    release();
    await on.page.getByText('1 blind').waitFor({ state: 'hidden' });
    expect(await on.timeline().getAttribute('aria-label')).toContain('0 blind gaps');
    await on.page.getByRole('button', { name: /Lost events/ }).click();
    await on.page.getByText('Nothing was skipped.').waitFor();
    await on.showsEvents(fixture.events.length);
  });

  it('ends with its root process, before the next list of sessions says so', async () => {
    const fixture = on.running();
    await on.openWithEvents();
    await on.livePage();
    const root = fixture.processes[0];
    on.hub.push([{
      id: 'live.end', timestamp: String(nowNs()), source: 'process', pid: root?.pid ?? 0, comm: 'claude', process: fixture.session.session, session: fixture.session.session,
      data: { event: 'EXIT', ppid: 900, exit_code: 0, signal: null, duration_ms: 70_000, peak_rss_bytes: 1048576 },
    }]);
    await on.page.getByRole('treeitem', { name: /claude .*pid 5121, exit code 0/ }).waitFor();
  });

  it('reconnects after the stream broke and fetches what it missed', async () => {
    const fixture = on.running();
    await on.openWithEvents();
    await on.livePage();
    on.hub.dropPages();
    await expect.poll(() => on.hub.pages()).toBe(0);
    on.hub.push([stdout(fixture, 'nobody listened')]);
    await expect.poll(() => on.hub.pages(), { timeout: 40_000 }).toBe(1);
    await on.showsEvents(fixture.events.length + 1);
  });

  it('finds what fits an expression also when the store takes it long after the live stream', async () => {
    const fixture = on.running();
    await on.openWithEvents();
    await on.livePage();
    await on.page.getByRole('searchbox').fill('payload = "late one" OR payload = "later one"');
    await on.showsEvents('0 match');
    const stored = [on.hub.pushUnstored([stdout(fixture, 'late one')]), on.hub.pushUnstored([stdout(fixture, 'later one')])];
    for (const [index, store] of stored.entries()) {
      const asked = on.hub.searches();
      await expect.poll(() => on.hub.searches(), { timeout: 45_000 }).toBeGreaterThan(asked + 6);
      await on.showsEvents(`${index} match`);
      store();
      await on.showsEvents(`${index + 1} match`);
    }
    await searchesSettle();
    const second = { ...stdout(fixture, 'late one'), id: 'sent.twice' };
    on.hub.pushLost([second]);
    await searchesSettle();
    await on.showsEvents('2 match');
    on.hub.push([second]);
    await on.showsEvents('3 match');
  });

  it('warns while redaction is off', async () => {
    on.running();
    await on.page.goto(on.hub.url);
    await on.livePage();
    on.hub.setRedaction(false);
    await on.page.getByText('redaction off').waitFor();
    on.hub.setRedaction(true);
    await on.page.getByText('redaction off').waitFor({ state: 'hidden' });
  });
});

describe('nothing to show', { timeout: 240_000 }, () => {
  it('says how to begin while there is no session, and opens the first one', async () => {
    await on.page.goto(on.hub.url);
    await on.page.getByText('No session yet').waitFor();
    await on.page.getByText('sudo agentsight-ts trace -- claude').waitFor();
    on.running();
    await on.timeline().waitFor();
  });

  it('says where the address comes from when the token is wrong', async () => {
    on.recorded();
    await on.page.goto(`${on.hub.origin}/?token=wrong`);
    await on.page.getByText('This address lacks its token').waitFor();
  });

  it('says so when the hub is away, and keeps what it has', async () => {
    const fixture = on.recorded();
    await on.openWithEvents();
    await on.hub.close();
    await on.page.getByText('The hub does not answer').waitFor();
    await on.showsEvents(fixture.events.length);
    on.hub = await startFixtureHub(built.folder);
  });

  it('explains a session without TLS plaintext by what was found in each binary', async () => {
    const fixture = on.recorded();
    await on.hub.close();
    on.hub = await startFixtureHub(built.folder);
    on.hub.addSession({ ...fixture, events: fixture.events.filter((event) => event.source !== 'http' && event.source !== 'sse') });
    await on.page.goto(on.hub.url);
    await on.page.getByText('No TLS plaintext in this session.').waitFor();
    await on.page.getByText('no TLS library is mapped').first().waitFor();
  });
});
