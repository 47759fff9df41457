import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ApiEvent } from '../../src/hub/api.ts';
import { type BuiltPage, buildPage, launchBrowser } from './browser.ts';
import { type FixtureHub, startFixtureHub } from './fixture-hub.ts';
import { type FixtureSession, buildAgentSession } from './fixture-session.ts';

const SECOND_NS = 1_000_000_000n;
let built: BuiltPage;
let browser: Browser;
let hub: FixtureHub;
let context: BrowserContext;
let page: Page;
let problems: string[];

beforeAll(async () => {
  [built, browser] = await Promise.all([buildPage(), launchBrowser()]);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await built?.remove();
});

beforeEach(async () => {
  hub = await startFixtureHub(built.folder);
  context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' });
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
  problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
});

afterEach(async () => {
  await context.close();
  await hub.close();
  expect(problems).toEqual([]);
});

function recorded(): FixtureSession {
  const fixture = buildAgentSession({ startNs: nowNs() - 120n * SECOND_NS, name: 'main', running: false, pid: 4121 });
  hub.addSession(fixture);
  return fixture;
}

function running(): FixtureSession {
  const fixture = buildAgentSession({ startNs: nowNs() - 70n * SECOND_NS, name: 'live', running: true, pid: 5121 });
  hub.addSession(fixture);
  return fixture;
}

const timeline = () => page.getByRole('img', { name: /^Timeline of/ });
const eventRows = () => page.getByRole('grid', { name: 'Event list' }).getByRole('row');
const param = (name: string) => new URL(page.url()).searchParams.get(name);

describe('a recorded session', { timeout: 60_000 }, () => {
  it('shows every process, its outcome and all events', async () => {
    const fixture = recorded();
    await page.goto(hub.url);
    await timeline().waitFor();
    await expectText(page.getByRole('heading', { name: /^Events/ }), count(fixture.events.length));
    await expectText(page.getByRole('heading', { name: /^Processes/ }), count(fixture.processes.length));
    await page.getByRole('treeitem', { name: /claude .*pid 4121, exit code 0/ }).waitFor();
    await page.getByRole('treeitem', { name: /sleep 30, .*killed by SIGKILL/ }).waitFor();
    expect(await timeline().getAttribute('aria-label')).toContain(`${fixture.processes.length} processes`);
  });

  it('takes the token out of the address and keeps it for a reload', async () => {
    recorded();
    await page.goto(hub.url);
    await timeline().waitFor();
    expect(page.url()).not.toContain('token');
    await page.reload();
    await timeline().waitFor();
  });

  it('draws lanes on the canvas', async () => {
    recorded();
    await page.goto(hub.url);
    await waitForEvents();
    const shades = await timeline().evaluate(countShades);
    expect(shades).toBeGreaterThan(8);
  });

  it('zooms at the pointer, pans by dragging and keeps the window in the address', async () => {
    recorded();
    await page.goto(hub.url);
    await waitForEvents();
    expect(param('from')).toBeNull();
    const box = await boxOf(timeline());
    await page.mouse.move(box.x + box.width / 4, box.y + 40);
    await page.mouse.wheel(0, -500);
    const zoomed = await windowInAddress(null);
    expect(zoomed.to - zoomed.from).toBeLessThan(40n * SECOND_NS);

    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 4 + 200, box.y + 40, { steps: 4 });
    await page.mouse.up();
    const panned = await windowInAddress(zoomed);
    expect(panned.from).toBeLessThan(zoomed.from);
    expect(abs(panned.to - panned.from - (zoomed.to - zoomed.from))).toBeLessThan(2n);

    const label = await timeline().getAttribute('aria-label');
    await page.reload();
    await waitForEvents();
    expect(await timeline().getAttribute('aria-label')).toBe(label);

    await page.keyboard.press('f');
    await expect.poll(() => param('from')).toBeNull();
  });

  it('measures a range with shift and drag', async () => {
    recorded();
    await page.goto(hub.url);
    await waitForEvents();
    const box = await boxOf(timeline());
    await page.keyboard.down('Shift');
    await page.mouse.move(box.x + 300, box.y + 300);
    await page.mouse.down();
    await page.mouse.move(box.x + 500, box.y + 300, { steps: 3 });
    await page.mouse.up();
    await page.keyboard.up('Shift');
    await expectText(page.locator('output'), /^\d+(\.\d+)? s$/);
    await page.keyboard.press('f');
    await expect.poll(() => param('from')).not.toBeNull();
  });

  it('shows request, response and assembled reply of the exchange that is clicked on the timeline', async () => {
    recorded();
    await page.goto(hub.url);
    await waitForEvents();
    const box = await boxOf(timeline());
    // The first line below the agent's life bar holds its exchanges; find one under the pointer.
    for (let x = box.x + 40; x < box.x + box.width && (param('sel') ?? '') === ''; x += 60) {
      await page.mouse.click(x, box.y + 33);
      if (await page.getByRole('region', { name: 'Response' }).isVisible()) break;
    }
    const inspector = page.getByRole('complementary', { name: 'Inspector' });
    await expectText(inspector, /POST https:\/\/api\.anthropic\.com\/v1\/messages/);
    const response = inspector.getByRole('region', { name: 'Response' });
    await expectText(response, /The test fails because the discount is rounded twice/);
    await expectText(response, /tool · Bash/);
    await response.getByRole('tab', { name: 'Events' }).click();
    await expectText(response, /content_block_delta/);
    await expectText(response, /\+\d/);
    await expectText(inspector.getByRole('region', { name: 'Request' }), /claude-opus/);
  });

  it('copies an exchange as curl with its secrets masked', async () => {
    const fixture = recorded();
    const exchange = fixture.events.find((event) => event.source === 'http' && event.data['sse_events'] !== null);
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.goto(`${hub.url}&sel=event:${exchange?.id}`);
    await page.getByRole('button', { name: 'Copy as curl' }).click();
    await expectText(page.locator('.toast'), /copied/);
    const copied = await page.evaluate('navigator.clipboard.readText()');
    expect(copied).toContain('curl https://api.anthropic.com/v1/messages');
    expect(copied).toContain('x-api-key: ***redacted***');
  });

  it('marks where events were lost and says at which stage', async () => {
    recorded();
    await page.goto(hub.url);
    await waitForEvents();
    expect(await timeline().getAttribute('aria-label')).toContain('1 loss');
    await page.getByRole('button', { name: 'Lost events: 312' }).click();
    await expectText(page.getByRole('cell', { name: 'ring buffer full' }), /ring buffer full/);
    expect(await timeline().evaluate(countRed)).toBeGreaterThan(200);
  });

  it('filters by words and by source, and keeps the filter in the address', async () => {
    const fixture = recorded();
    await page.goto(hub.url);
    await waitForEvents();
    await page.keyboard.press('/');
    await page.keyboard.type('source:stdio FAIL');
    const expected = fixture.events.filter((event) => event.source === 'stdio' && String(event.data['payload']).includes('FAIL')).length;
    await expectText(page.getByRole('heading', { name: /^Events/ }), `${expected} match`);
    await expect.poll(() => param('q')).toBe('source:stdio FAIL');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await expectText(page.getByRole('heading', { name: /^Events/ }), count(fixture.events.length));
    await page.getByRole('group', { name: 'Sources' }).getByRole('button', { name: /sse/ }).click();
    await expect.poll(() => param('src')).not.toBeNull();
    expect(param('src')?.split(',')).not.toContain('sse');
  });

  it('is used by keyboard alone', async () => {
    const fixture = recorded();
    await page.goto(hub.url);
    await waitForEvents();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await expect.poll(() => param('sel')).toBe(`event:${fixture.events[1]?.id}`);
    await page.keyboard.press('k');
    await expect.poll(() => param('sel')).toBe(`event:${fixture.events[0]?.id}`);
    await page.keyboard.press('h');
    await expect.poll(() => page.getByRole('treeitem', { name: /^claude/ }).getAttribute('aria-expanded')).toBe('false');
    expect(await page.getByRole('treeitem').count()).toBe(1);
    await page.keyboard.press('l');
    await expect.poll(() => page.getByRole('treeitem').count()).toBeGreaterThan(5);
    await page.keyboard.press('w');
    await expect.poll(() => param('from')).not.toBeNull();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard and mouse' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press('Escape');
    await expect.poll(() => param('sel')).toBeNull();
  });

  it('goes back to the former selection with the browser', async () => {
    const fixture = recorded();
    await page.goto(hub.url);
    await waitForEvents();
    await eventRows().nth(1).click();
    await expect.poll(() => param('sel')).toBe(`event:${fixture.events[1]?.id}`);
    await eventRows().nth(3).click();
    await expect.poll(() => param('sel')).toBe(`event:${fixture.events[3]?.id}`);
    await page.goBack();
    await expect.poll(() => eventRows().nth(1).getAttribute('aria-selected')).toBe('true');
  });

  it('switches themes and remembers the choice', async () => {
    recorded();
    await page.goto(hub.url);
    await timeline().waitFor();
    const dark = await background();
    await page.keyboard.press('t');
    await page.keyboard.press('t');
    await expect.poll(background).not.toBe(dark);
    const light = await background();
    await page.reload();
    await timeline().waitFor();
    expect(await background()).toBe(light);
  });
});

describe('a running session', { timeout: 60_000 }, () => {
  it('shows frames as they arrive, and counts them while paused', async () => {
    const fixture = running();
    await page.goto(hub.url);
    await waitForEvents();
    await page.getByRole('button', { name: 'live', exact: true }).waitFor();
    await expect.poll(() => hub.pages()).toBe(1);
    hub.push([stdout(fixture, 'first line'), stdout(fixture, 'second line')]);
    await expectText(page.getByRole('heading', { name: /^Events/ }), count(fixture.events.length + 2));
    await page.keyboard.press('.');
    hub.push([stdout(fixture, 'third line')]);
    await page.getByRole('button', { name: /paused \+1/ }).waitFor();
    await page.keyboard.press('.');
    await page.getByRole('button', { name: 'live', exact: true }).waitFor();
  });

  it('grows the process tree from live events', async () => {
    const fixture = running();
    await page.goto(hub.url);
    await waitForEvents();
    await expect.poll(() => hub.pages()).toBe(1);
    const root = fixture.processes[0]?.process ?? '';
    const common = { pid: 7001, comm: 'make', process: 'live.boot.1.7001', session: fixture.session.session, source: 'process' };
    hub.push([
      { ...common, id: 'live.f', timestamp: String(nowNs()), data: { event: 'FORK', ppid: 5121, parent: root } },
      { ...common, id: 'live.e', timestamp: String(nowNs()), data: { event: 'EXEC', ppid: 5121, parent: root, filename: '/usr/bin/make', argv: ['make', 'check'], cwd: '/', uid: 0 } },
      { ...common, id: 'live.x', timestamp: String(nowNs()), data: { event: 'EXIT', ppid: 5121, exit_code: 2, signal: null, duration_ms: 5, peak_rss_bytes: 1048576 } },
    ]);
    await page.keyboard.press('j');
    await page.getByRole('tree', { name: 'Processes' }).hover();
    await page.mouse.wheel(0, 5000);
    await page.getByRole('treeitem', { name: /make check, pid 7001, exit code 2/ }).waitFor();
  });

  it('fetches what the live stream dropped, and shows the blind band until then', async () => {
    const fixture = running();
    await page.goto(hub.url);
    await waitForEvents();
    await expect.poll(() => hub.pages()).toBe(1);
    const release = hub.holdEvents();
    hub.push([stdout(fixture, 'unsent one'), stdout(fixture, 'unsent two')], { dropped: true });
    await page.getByRole('button', { name: /Lost events/ }).getByText('1 blind').waitFor();
    expect(await timeline().getAttribute('aria-label')).toContain('1 blind gap');
    release();
    await expectText(page.getByRole('heading', { name: /^Events/ }), count(fixture.events.length + 2));
    await page.getByText('1 blind').waitFor({ state: 'hidden' });
  });

  it('reconnects after the stream broke and fetches what it missed', async () => {
    const fixture = running();
    await page.goto(hub.url);
    await waitForEvents();
    await expect.poll(() => hub.pages()).toBe(1);
    hub.dropPages();
    await expect.poll(() => hub.pages()).toBe(0);
    hub.push([stdout(fixture, 'nobody listened')]);
    await expect.poll(() => hub.pages(), { timeout: 10_000 }).toBe(1);
    await expectText(page.getByRole('heading', { name: /^Events/ }), count(fixture.events.length + 1));
  });

  it('warns while redaction is off', async () => {
    running();
    await page.goto(hub.url);
    await expect.poll(() => hub.pages()).toBe(1);
    hub.setRedaction(false);
    await page.getByText('redaction off').waitFor();
    hub.setRedaction(true);
    await page.getByText('redaction off').waitFor({ state: 'hidden' });
  });
});

describe('nothing to show', { timeout: 60_000 }, () => {
  it('says how to begin while there is no session, and opens the first one', async () => {
    await page.goto(hub.url);
    await page.getByText('No session yet').waitFor();
    await page.getByText('sudo agentsight-ts trace -- claude').waitFor();
    running();
    await timeline().waitFor();
  });

  it('says where the address comes from when the token is wrong', async () => {
    recorded();
    await page.goto(`${hub.origin}/?token=wrong`);
    await page.getByText('This address lacks its token').waitFor();
  });

  it('says so when the hub is away, and keeps what it has', async () => {
    const fixture = recorded();
    await page.goto(hub.url);
    await waitForEvents();
    await hub.close();
    await page.getByText('The hub does not answer').waitFor();
    await expectText(page.getByRole('heading', { name: /^Events/ }), count(fixture.events.length));
    hub = await startFixtureHub(built.folder);
  });

  it('explains a session without TLS plaintext by what was found in each binary', async () => {
    const fixture = recorded();
    await hub.close();
    hub = await startFixtureHub(built.folder);
    hub.addSession({ ...fixture, events: fixture.events.filter((event) => event.source !== 'http' && event.source !== 'sse') });
    await page.goto(hub.url);
    await page.getByText('No TLS plaintext in this session.').waitFor();
    await page.getByText('no TLS library is mapped').first().waitFor();
  });
});

function stdout(fixture: FixtureSession, payload: string): ApiEvent {
  const process = fixture.processes[0];
  return {
    id: `pushed.${payload}`, timestamp: String(nowNs()), source: 'stdio', pid: process?.pid ?? 0, comm: 'claude',
    process: process?.process ?? null, session: fixture.session.session,
    data: { fd: 1, role: 'stdout', target: 'pipe:[1]', direction: 'write', len: payload.length, total: payload.length, offset: 0, payload, payload_encoding: 'utf8' },
  };
}

async function waitForEvents(): Promise<void> {
  await eventRows().first().waitFor();
  await page.getByText(/^loading /).waitFor({ state: 'hidden' });
}

/** The window in the address, once it differs from `old`. */
async function windowInAddress(old: { from: bigint } | null): Promise<{ from: bigint; to: bigint }> {
  await expect.poll(() => param('from')).not.toBe(old === null ? null : String(old.from));
  return { from: BigInt(param('from') ?? 0), to: BigInt(param('to') ?? 0) };
}

async function expectText(locator: ReturnType<Page['locator']>, text: string | RegExp): Promise<void> {
  const matches = (content: string | null): boolean => (typeof text === 'string' ? content?.includes(text) === true : text.test(content ?? ''));
  let last: string | null = null;
  await expect.poll(async () => { last = await locator.first().textContent(); return matches(last); }, { timeout: 15_000, message: `waiting for ${text}` }).toBe(true);
}

async function boxOf(locator: ReturnType<Page['locator']>): Promise<{ x: number; y: number; width: number; height: number }> {
  const box = await locator.boundingBox();
  if (box === null) throw new Error('the element is not visible');
  return box;
}

function background(): Promise<unknown> {
  return page.evaluate('getComputedStyle(document.body).backgroundColor');
}

function count(value: number): string {
  return new Intl.NumberFormat('en-US').format(value);
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/** Runs in the page: the canvas element without the DOM's types, which the test project does not load. */
interface CanvasLike {
  readonly width: number;
  readonly height: number;
  getContext(kind: '2d'): { getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray } };
}

function countShades(element: unknown): number {
  const canvas = element as CanvasLike;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const shades = new Set<number>();
  for (let at = 0; at < data.length; at += 4) if ((data[at + 3] ?? 0) > 200) shades.add(((data[at] ?? 0) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0));
  return shades.size;
}

function countRed(element: unknown): number {
  const canvas = element as CanvasLike;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let red = 0;
  for (let at = 0; at < data.length; at += 4) if ((data[at] ?? 0) > 200 && (data[at + 1] ?? 0) < 110 && (data[at + 2] ?? 0) < 110 && (data[at + 3] ?? 0) > 200) red += 1;
  return red;
}
