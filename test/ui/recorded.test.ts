import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BuiltPage, buildPage, launchBrowser } from './browser.ts';
import { countRed, countShades } from './canvas.ts';
import { buildAgentSession } from './fixture-session.ts';
import { type PageFixture, abs, boxOf, count, expectText, nowNs, openPage } from './page-fixture.ts';

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

describe('a recorded session', { timeout: 240_000 }, () => {
  it('shows every process, its outcome and all events', async () => {
    const fixture = on.recorded();
    await on.page.goto(on.hub.url);
    await on.timeline().waitFor();
    await on.showsEvents(fixture.events.length);
    await expectText(on.page.getByRole('heading', { name: /^Processes/ }), count(fixture.processes.length));
    await on.page.getByRole('treeitem', { name: /claude .*pid 4121, exit code 0/ }).waitFor();
    await on.page.getByRole('treeitem', { name: /sleep 30, .*killed by SIGKILL/ }).waitFor();
    expect(await on.timeline().getAttribute('aria-label')).toContain(`${fixture.processes.length} processes`);
  });

  it('opens the session of an address that is older than all that are listed', async () => {
    const fixture = on.recorded();
    const newer = buildAgentSession({ startNs: nowNs(), name: 'newer', running: false, pid: 9 });
    for (let number = 0; number < 250; number += 1) {
      on.hub.addSession({ session: { ...newer.session, session: `newer.boot.${number}.9` }, processes: [], events: [] });
    }
    await on.page.goto(`${on.hub.url}&session=${fixture.session.session}`);
    await on.showsEvents(fixture.events.length);
    await on.page.getByRole('button', { name: /^Session: claude --model opus/ }).waitFor();
    await expect.poll(() => on.param('session')).toBe(fixture.session.session);
  });

  it('says so when the session of an address is gone, and opens the newest', async () => {
    const fixture = on.recorded();
    await on.page.goto(`${on.hub.url}&session=never.boot.1.1`);
    await on.page.getByText('The session of this address is no longer stored').waitFor();
    await on.showsEvents(fixture.events.length);
  });

  it('labels a script by its name, and keeps the whole command line at hand', async () => {
    on.recorded();
    await on.openWithEvents();
    const row = on.page.getByRole('treeitem', { name: /^node filesystem-server\.js/ });
    await expectText(row, /filesystem-server\.js/);
    expect(await row.getAttribute('title')).toBe('node /opt/mcp/filesystem-server.js /home/dev/shop-api');
  });

  it('takes the token out of the address and keeps it for a reload', async () => {
    on.recorded();
    await on.page.goto(on.hub.url);
    await on.timeline().waitFor();
    expect(on.page.url()).not.toContain('token');
    await on.page.reload();
    await on.timeline().waitFor();
  });

  it('draws lanes on the canvas', async () => {
    on.recorded();
    await on.openWithEvents();
    await expect.poll(() => on.timeline().evaluate(countShades)).toBeGreaterThan(8);
  });

  it('zooms at the pointer, pans by dragging and keeps the window in the address', async () => {
    on.recorded();
    await on.openWithEvents();
    expect(on.param('from')).toBeNull();
    const box = await boxOf(on.timeline());
    await on.page.mouse.move(box.x + box.width / 4, box.y + 40);
    await on.page.mouse.wheel(0, -500);
    const zoomed = await on.windowInAddress(null);
    expect(zoomed.to - zoomed.from).toBeLessThan(40_000_000_000n);

    await on.page.mouse.down();
    await on.page.mouse.move(box.x + box.width / 4 + 200, box.y + 40, { steps: 4 });
    await on.page.mouse.up();
    const panned = await on.windowInAddress(zoomed);
    expect(panned.from).toBeLessThan(zoomed.from);
    expect(abs(panned.to - panned.from - (zoomed.to - zoomed.from))).toBeLessThan(2n);

    const label = await on.timeline().getAttribute('aria-label');
    await on.page.reload();
    await on.eventsLoaded();
    expect(await on.timeline().getAttribute('aria-label')).toBe(label);

    await on.page.keyboard.press('f');
    await expect.poll(() => on.param('from')).toBeNull();
  });

  it('measures a range with shift and drag', async () => {
    on.recorded();
    await on.openWithEvents();
    const box = await boxOf(on.timeline());
    await on.page.keyboard.down('Shift');
    await on.page.mouse.move(box.x + 300, box.y + 300);
    await on.page.mouse.down();
    await on.page.mouse.move(box.x + 500, box.y + 300, { steps: 3 });
    await on.page.mouse.up();
    await on.page.keyboard.up('Shift');
    await expectText(on.page.locator('output'), /^\d+(\.\d+)? s$/);
    await on.page.keyboard.press('f');
    await expect.poll(() => on.param('from')).not.toBeNull();
  });

  it('shows request, response and assembled reply of the exchange that is clicked on the timeline', async () => {
    on.recorded();
    await on.openWithEvents();
    const box = await boxOf(on.timeline());
    // The first line below the agent's life bar holds its exchanges; find one under the pointer.
    for (let x = box.x + 40; x < box.x + box.width && (on.param('sel') ?? '') === ''; x += 60) {
      await on.page.mouse.click(x, box.y + 33);
      if (await on.page.getByRole('region', { name: 'Response' }).isVisible()) break;
    }
    const inspector = on.page.getByRole('complementary', { name: 'Inspector' });
    await expectText(inspector, /POST https:\/\/api\.anthropic\.com\/v1\/messages/);
    const response = inspector.getByRole('region', { name: 'Response' });
    await expectText(response, /The test fails because the discount is rounded twice/);
    await expectText(response, /tool · Bash/);
    await response.getByRole('tab', { name: 'Events' }).click();
    await expectText(response, /content_block_delta.*delta\.text "/);
    await expectText(response, /\+\d/);
    await expectText(inspector.getByRole('region', { name: 'Request' }), /claude-opus/);
  });

  it('copies an exchange as curl with its secrets masked', async () => {
    const fixture = on.recorded();
    const exchange = fixture.events.find((event) => event.source === 'http' && event.data['sse_events'] !== null);
    await on.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await on.page.goto(`${on.hub.url}&sel=event:${exchange?.id}`);
    await on.page.getByRole('button', { name: 'Copy as curl' }).click();
    await expectText(on.page.locator('.toast'), /copied/);
    const copied = await on.page.evaluate('navigator.clipboard.readText()');
    expect(copied).toContain('curl https://api.anthropic.com/v1/messages');
    expect(copied).toContain('x-api-key: ***redacted***');
  });

  it('marks where events were lost and says at which stage', async () => {
    on.recorded();
    await on.openWithEvents();
    expect(await on.timeline().getAttribute('aria-label')).toContain('1 loss');
    await on.page.getByRole('button', { name: 'Lost events: 312' }).click();
    await expectText(on.page.getByRole('cell', { name: 'ring buffer full' }), /ring buffer full/);
    await expect.poll(() => on.timeline().evaluate(countRed)).toBeGreaterThan(200);
  });

  it('filters by words and by source, and keeps the filter in the address', async () => {
    const fixture = on.recorded();
    await on.openWithEvents();
    await on.page.keyboard.press('/');
    await on.page.keyboard.type('source:stdio FAIL');
    const expected = fixture.events.filter((event) => event.source === 'stdio' && String(event.data['payload']).includes('FAIL')).length;
    await on.showsEvents(`${expected} match`);
    await expect.poll(() => on.param('q')).toBe('source:stdio FAIL');
    await on.page.keyboard.press('Escape');
    await on.page.keyboard.press('Escape');
    await on.showsEvents(fixture.events.length);
    await on.page.getByRole('group', { name: 'Sources' }).getByRole('button', { name: /sse/ }).click();
    await expect.poll(() => on.param('src')).not.toBeNull();
    expect(on.param('src')?.split(',')).not.toContain('sse');
  });

  it('filters by an expression, which the address keeps, and shows its error at the column', async () => {
    const fixture = on.recorded();
    await on.openWithEvents();
    const field = on.page.getByRole('searchbox');
    await field.fill('source = http AND status >');
    await on.page.getByText('Column 27: the filter ends where a value was expected after >').waitFor();
    expect(await on.page.locator('.place').textContent()).toBe(`source = http AND status >\n${' '.repeat(26)}^`);
    expect(await field.getAttribute('aria-invalid')).toBe('true');
    await on.showsEvents(`${count(fixture.events.length)} match`);
    await field.fill('source = http AND status >= 200');
    const expected = fixture.events.filter((event) => event.source === 'http' && Number(event.data['status']) >= 200).length;
    expect(expected).toBeGreaterThan(0);
    await on.showsEvents(`${expected} match`);
    expect(await field.getAttribute('aria-invalid')).toBe('false');
    await expect.poll(() => on.param('q')).toBe('source = http AND status >= 200');
    await on.page.reload();
    await on.showsEvents(`${expected} match`);
    expect(await field.inputValue()).toBe('source = http AND status >= 200');
  });

  it('is used by keyboard alone', async () => {
    const fixture = on.recorded();
    await on.openWithEvents();
    await on.page.keyboard.press('j');
    await on.page.keyboard.press('j');
    await expect.poll(() => on.param('sel')).toBe(`event:${fixture.events[1]?.id}`);
    await on.page.keyboard.press('k');
    await expect.poll(() => on.param('sel')).toBe(`event:${fixture.events[0]?.id}`);
    await on.page.keyboard.press('h');
    await expect.poll(() => on.page.getByRole('treeitem', { name: /^claude/ }).getAttribute('aria-expanded')).toBe('false');
    expect(await on.page.getByRole('treeitem').count()).toBe(1);
    await on.page.keyboard.press('l');
    await expect.poll(() => on.page.getByRole('treeitem').count()).toBeGreaterThan(5);
    await on.page.keyboard.press('w');
    await expect.poll(() => on.param('from')).not.toBeNull();
    await on.page.keyboard.press('?');
    await on.page.getByRole('dialog', { name: 'Keyboard and mouse' }).waitFor();
    await on.page.keyboard.press('Escape');
    await on.page.getByRole('dialog').waitFor({ state: 'hidden' });
    await on.page.keyboard.press('Escape');
    await expect.poll(() => on.param('sel')).toBeNull();
  });

  it('goes back to the former selection with the browser', async () => {
    const fixture = on.recorded();
    await on.openWithEvents();
    await on.eventRows().nth(1).click();
    await expect.poll(() => on.param('sel')).toBe(`event:${fixture.events[1]?.id}`);
    await on.eventRows().nth(3).click();
    await expect.poll(() => on.param('sel')).toBe(`event:${fixture.events[3]?.id}`);
    await on.page.goBack();
    await expect.poll(() => on.eventRows().nth(1).getAttribute('aria-selected')).toBe('true');
  });

  it('switches themes and remembers the choice', async () => {
    on.recorded();
    await on.page.goto(on.hub.url);
    await on.timeline().waitFor();
    const dark = await on.background();
    await on.page.keyboard.press('t');
    await on.page.keyboard.press('t');
    await expect.poll(() => on.background()).not.toBe(dark);
    const light = await on.background();
    await on.page.reload();
    await on.timeline().waitFor();
    expect(await on.background()).toBe(light);
  });
});
