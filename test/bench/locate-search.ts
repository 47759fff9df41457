/** `node locate-search.js FILE`: searches a file as a capture does, once, in a process of its own, and prints what that took. */
import { LOCATORS } from '../../src/runners/locate/locators.ts';
import { readElfView } from '../../src/runners/locate/elf.ts';
import { finish } from '../../src/runners/locate/locator.ts';
import { openReader } from '../../src/runners/locate/reader.ts';

export interface SearchCost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly extraBytes: number;
  /** Of the locators that found something. */
  readonly found: readonly string[];
}

const [, , path = ''] = process.argv;
const KIB = 1024;
const rssBefore = process.memoryUsage.rss();
const cpuBefore = process.cpuUsage();
const started = performance.now();
const reader = openReader(path);
const elf = readElfView(reader);
if (elf === null) throw new Error(`${path} is no program`);
const found = LOCATORS.filter(({ search }) => finish(search(elf)).kind === 'found').map(({ name }) => name);
reader.close();
const { user, system } = process.cpuUsage(cpuBefore);
const cost: SearchCost = {
  wallMs: performance.now() - started,
  cpuMs: (user + system) / 1000,
  extraBytes: process.resourceUsage().maxRSS * KIB - rssBefore,
  found,
};
process.stdout.write(`${JSON.stringify(cost)}\n`);
