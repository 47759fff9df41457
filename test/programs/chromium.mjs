// Debian's Chromium for traced programs.
import { chromium } from 'playwright-core';
import { waitUntilHooked } from './hooked.mjs';

const PROGRAM = '/usr/lib/chromium/chromium';

/** A page of a browser that is hooked, as trace.jsonl in the folder says. */
export async function openChromium(folder, flags = []) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
      '--disable-dev-shm-usage', '--ignore-certificate-errors', ...flags,
    ],
  });
  await waitUntilHooked(folder, PROGRAM);
  return { page: await browser.newPage(), close: () => browser.close() };
}
