/** One test's page: a fixture hub, a browser context and what the tests read of the page. */
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { ApiEvent } from '../../src/hub/api.ts';
import { type FixtureHub, startFixtureHub } from './fixture-hub.ts';
import { type FixtureSession, buildAgentSession } from './fixture-session.ts';

const SECOND_NS = 1_000_000_000n;
const SLOW_MS = 45_000;

export class PageFixture {
  readonly page: Page;
  readonly context: BrowserContext;
  hub: FixtureHub;
  readonly #problems: string[] = [];

  constructor(page: Page, hub: FixtureHub) {
    this.page = page;
    this.context = page.context();
    this.hub = hub;
    page.setDefaultTimeout(SLOW_MS);
    page.on('pageerror', (error) => this.#problems.push(String(error)));
  }

  /** Fails when the page threw anything. */
  async close(): Promise<void> {
    await this.context.close();
    await this.hub.close();
    expect(this.#problems).toEqual([]);
  }

  recorded(): FixtureSession {
    const fixture = buildAgentSession({ startNs: nowNs() - 120n * SECOND_NS, name: 'main', running: false, pid: 4121 });
    this.hub.addSession(fixture);
    return fixture;
  }

  running(): FixtureSession {
    const fixture = buildAgentSession({ startNs: nowNs() - 70n * SECOND_NS, name: 'live', running: true, pid: 5121 });
    this.hub.addSession(fixture);
    return fixture;
  }

  timeline(): Locator {
    return this.page.getByRole('img', { name: /^Timeline of/ });
  }

  eventRows(): Locator {
    return this.page.getByRole('grid', { name: 'Event list' }).getByRole('row');
  }

  param(name: string): string | null {
    return new URL(this.page.url()).searchParams.get(name);
  }

  async openWithEvents(): Promise<void> {
    await this.page.goto(this.hub.url);
    await this.eventsLoaded();
  }

  async eventsLoaded(): Promise<void> {
    await this.eventRows().first().waitFor();
    await this.page.getByText(/^loading /).waitFor({ state: 'hidden' });
  }

  async livePage(): Promise<void> {
    await expect.poll(() => this.hub.pages(), { timeout: SLOW_MS }).toBe(1);
  }

  /** What the heading of the event list says. */
  async showsEvents(text: string | number): Promise<void> {
    await expectText(this.page.getByRole('heading', { name: /^Events/ }), typeof text === 'number' ? count(text) : text);
  }

  /** The window in the address, once it differs from `old`. */
  async windowInAddress(old: { readonly from: bigint } | null): Promise<{ from: bigint; to: bigint }> {
    await expect.poll(() => this.param('from')).not.toBe(old === null ? null : String(old.from));
    return { from: BigInt(this.param('from') ?? 0), to: BigInt(this.param('to') ?? 0) };
  }

  background(): Promise<unknown> {
    return this.page.evaluate('getComputedStyle(document.body).backgroundColor');
  }
}

export async function openPage(browser: Browser, folder: string): Promise<PageFixture> {
  const hub = await startFixtureHub(folder);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark', locale: 'en-US' });
  return new PageFixture(await context.newPage(), hub);
}

export function stdout(fixture: FixtureSession, payload: string): ApiEvent {
  const process = fixture.processes[0];
  return {
    id: `pushed.${payload}`, timestamp: String(nowNs()), source: 'stdio', pid: process?.pid ?? 0, comm: 'claude',
    process: process?.process ?? null, session: fixture.session.session,
    data: { fd: 1, role: 'stdout', target: 'pipe:[1]', direction: 'write', len: payload.length, total: payload.length, offset: 0, payload, payload_encoding: 'utf8' },
  };
}

export async function expectText(locator: Locator, text: string | RegExp): Promise<void> {
  const matches = (content: string | null): boolean => (typeof text === 'string' ? content?.includes(text) === true : text.test(content ?? ''));
  await expect.poll(async () => matches(await locator.first().textContent()), { timeout: SLOW_MS, message: `waiting for ${text}` }).toBe(true);
}

export async function boxOf(locator: Locator): Promise<{ x: number; y: number; width: number; height: number }> {
  const box = await locator.boundingBox();
  if (box === null) throw new Error('the element is not visible');
  return box;
}

export function count(value: number): string {
  return new Intl.NumberFormat('en-US').format(value);
}

export function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}

export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
