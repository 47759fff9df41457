/**
 * The page in Chromium on a real hub: how long a session takes to open, and
 * what a frame costs while the timeline is zoomed and panned. The wheel events
 * are made in the page, one for each frame, so that the browser's driver does
 * not set the pace; the frame rate is not limited to the screen's.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { ROOT } from '../helpers/files.ts';
import { startHub, type TestHub } from '../helpers/hub.ts';
import { openLinkClient } from '../helpers/link-client.ts';
import { LIMITS } from '../../src/limits.ts';
import type { Bench, BenchContext, Figure } from './figure.ts';
import { sessionLines } from './page-session.ts';

const SIZES = [50_000, 200_000] as const;
const FRAMES = 400;
const OPEN_DEADLINE_MS = 60_000;
const TARGET_FRAME_MS = 16.6;

export const pageBench: Bench = {
  name: 'page',
  about: `the live page with ${SIZES.map((size) => size.toLocaleString('en')).join(' and ')} events in memory, ${FRAMES} frames of zooming and panning`,
  run,
};

async function run(context: BenchContext): Promise<readonly Figure[]> {
  if (!existsSync(join(ROOT, 'dist/ui/index.html'))) throw new Error('the page is not built: npm run build:ui');
  const hub = await startHub(join(context.directory, 'data'));
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-frame-rate-limit', '--disable-gpu-vsync', '--no-first-run'],
  });
  try {
    const figures: Figure[] = [];
    for (const size of SIZES) figures.push(...(await measureSize({ hub, browser, size, context })));
    return figures;
  } finally {
    await browser.close();
    await hub.close();
  }
}

interface Load {
  readonly hub: TestHub;
  readonly browser: Browser;
  readonly size: number;
  readonly context: BenchContext;
}

async function measureSize({ hub, browser, size, context }: Load): Promise<readonly Figure[]> {
  const session = await store(hub, size);
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  try {
    await page.addInitScript(`(${countDrawing.toString()})()`);
    const opened = await open(page, `${hub.url}&session=${session}`, size);
    const rest = await frames(page, false);
    const moving = await frames(page, true);
    const name = `${size / 1000}k`;
    context.note(`${name}: first rows after ${opened.firstMs.toFixed(0)} ms, all after ${opened.allMs.toFixed(0)} ms; draw p50 ${percentile(moving.drawMs, 50).toFixed(2)} ms`);
    const floor = { value: percentile(rest.frameMs, 95), what: 'p95 of frames in which nothing changes' };
    const method = `p95 of ${FRAMES} frames, one wheel event each; 1440x900, software rendering`;
    const figure = (what: string, value: number, target: Figure['target'], how: string): Figure =>
      ({ bench: 'page', name: `${name} ${what}`, unit: 'ms', value, target, floor: null, method: how });
    return [
      { ...figure('frame p95', percentile(moving.frameMs, 95), { kind: 'at most', value: TARGET_FRAME_MS }, `${method}; from one frame to the next`), floor },
      figure('frame p50', percentile(moving.frameMs, 50), null, 'of the same frames'),
      figure('script p95', percentile(moving.scriptMs, 95), null, 'of the same frames; handling the event and drawing'),
      figure('draw p95', percentile(moving.drawMs, 95), null, 'of the same frames; what the page does in requestAnimationFrame'),
      figure('draw p50', percentile(moving.drawMs, 50), null, 'of the same frames'),
      figure('first rows', opened.firstMs, null, 'from navigation until the event list has rows'),
      figure('opened', opened.allMs, null, 'from navigation until all events are in memory'),
    ];
  } finally {
    await page.close();
  }
}

async function store(hub: TestHub, size: number): Promise<string> {
  const collector = `bench.boot.page${size}`;
  const { session, lines } = sessionLines(collector, size);
  const link = await openLinkClient(hub.socket, collector);
  let last = 0;
  for (let from = 0; from < lines.length; from += LIMITS.batchEvents) last = await link.send(Buffer.from(lines.slice(from, from + LIMITS.batchEvents).join('')));
  await link.acknowledged(last);
  link.close();
  return session;
}

async function open(page: Page, url: string, size: number): Promise<{ readonly firstMs: number; readonly allMs: number }> {
  const start = performance.now();
  await page.goto(url, { waitUntil: 'commit' });
  await page.getByRole('row').first().waitFor({ timeout: OPEN_DEADLINE_MS });
  const firstMs = performance.now() - start;
  const shown = `${size.toLocaleString('en')} events`;
  await page.getByRole('img', { name: new RegExp(`^Timeline of .* ${shown}`) }).waitFor({ timeout: OPEN_DEADLINE_MS });
  await page.getByText(/^loading /).waitFor({ state: 'hidden', timeout: OPEN_DEADLINE_MS });
  return { firstMs, allMs: performance.now() - start };
}

interface Frames {
  readonly frameMs: readonly number[];
  readonly scriptMs: readonly number[];
  readonly drawMs: readonly number[];
}

async function frames(page: Page, moving: boolean): Promise<Frames> {
  const measured = await page.evaluate<Frames>(`(${driveFrames.toString()})(${FRAMES}, ${moving})`);
  if (moving && measured.drawMs.filter((value) => value > 0).length < FRAMES / 2) throw new Error('the page did not draw while it was zoomed');
  return measured;
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}

/** What the two functions below use of the page they run in; the test project has no types of a browser. */
interface PageWindow {
  drawnMs: number;
  bareFrame: (call: (time: number) => void) => number;
  requestAnimationFrame: (call: (time: number) => void) => number;
  document: { querySelector(selector: string): { getBoundingClientRect(): { left: number; top: number; width: number }; dispatchEvent(event: unknown): boolean } | null };
  WheelEvent: new (name: string, options: Readonly<Record<string, unknown>>) => unknown;
  performance: { now(): number };
}

/** Runs in the page, before it: adds up the time of its own animation frames. */
function countDrawing(): void {
  const page = globalThis as unknown as PageWindow;
  page.drawnMs = 0;
  page.bareFrame = page.requestAnimationFrame.bind(globalThis);
  page.requestAnimationFrame = (call) => page.bareFrame((time) => {
    const start = page.performance.now();
    call(time);
    page.drawnMs += page.performance.now() - start;
  });
}

/** Runs in the page: each frame turns the wheel by one notch, in, out and sideways by turns. */
function driveFrames(frameCount: number, moving: boolean): Promise<Frames> {
  const page = globalThis as unknown as PageWindow;
  const canvas = page.document.querySelector('canvas[aria-label^="Timeline"]');
  if (canvas === null) throw new Error('there is no timeline');
  const { left, top, width } = canvas.getBoundingClientRect();
  const result = { frameMs: [] as number[], scriptMs: [] as number[], drawMs: [] as number[] };
  return new Promise((resolve) => {
    let last = 0;
    let handledMs = 0;
    const step = (time: number): void => {
      if (last > 0) {
        result.frameMs.push(time - last);
        result.drawMs.push(page.drawnMs);
        result.scriptMs.push(page.drawnMs + handledMs);
      }
      page.drawnMs = 0;
      last = time;
      if (result.frameMs.length >= frameCount) { resolve(result); return; }
      if (moving) {
        const turn = result.frameMs.length % 100;
        const delta = turn < 40 ? { deltaY: -30 } : turn < 60 ? { deltaX: 25 } : { deltaY: 30 };
        const start = page.performance.now();
        canvas.dispatchEvent(new page.WheelEvent('wheel', { ...delta, clientX: left + width * 0.6, clientY: top + 60, bubbles: true, cancelable: true }));
        // After the page's own reaction, which waits in the same queue.
        queueMicrotask(() => { handledMs = page.performance.now() - start; });
      }
      page.bareFrame(step);
    };
    page.bareFrame(step);
  });
}
