/** Chromium and a fresh build of the page for the browser tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { build } from 'vite';

const UI = fileURLToPath(new URL('../../ui', import.meta.url));

export interface BuiltPage {
  readonly folder: string;
  readonly remove: () => Promise<void>;
}

/** Into a folder of its own: the tests prove the sources, not what dist/ui happens to hold. */
export async function buildPage(): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), 'agentsight-ui-'));
  await build({ root: UI, configFile: join(UI, 'vite.config.ts'), logLevel: 'error', build: { outDir: folder, emptyOutDir: true } });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
  });
}
