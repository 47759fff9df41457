// Debian's Chromium for traced programs, and whether it is hooked.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const PROGRAM = '/usr/lib/chromium/chromium';

/** A page of a browser that is hooked, as trace.jsonl in FOLDER says: it is searched for its functions when it starts. */
export async function openChromium(folder, flags = []) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
      '--disable-dev-shm-usage', '--ignore-certificate-errors', ...flags,
    ],
  });
  const isHooked = () => readFileSync(join(folder, 'trace.jsonl'), 'utf8').split('\n').some((line) => line.includes('"attached"') && line.includes(PROGRAM));
  while (!isHooked()) await delay(20);
  return { page: await browser.newPage(), close: () => browser.close() };
}
