/** A hub of its own data folder and port, as `agentsight-ts serve` runs it. */
import { existsSync, readFileSync } from 'node:fs';
import { dataPaths } from '../../src/paths.ts';
import { startCli, type RunningCli } from './cli.ts';
import { waitFor } from './wait.ts';

const READY_DEADLINE_MS = 60_000;

/** What a hub says of itself in hub.json. */
export interface HubFacts {
  readonly pid: number;
  readonly url: string;
  readonly socket: string;
}

export interface TestHub extends HubFacts {
  readonly origin: string;
  readonly token: string;
  readonly cli: RunningCli;
  get(path: string): Promise<unknown>;
  close(): Promise<void>;
}

export function readHubFacts(dataDir: string): HubFacts | undefined {
  const path = dataPaths(dataDir).hubFile;
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  return text === '' ? undefined : (JSON.parse(text) as HubFacts);
}

export async function startHub(dataDir: string): Promise<TestHub> {
  const cli = startCli(['serve', '--data-dir', dataDir, '--port', '0'], { deadlineMs: 600_000 });
  const facts = await waitFor('the hub to be ready', async () => {
    if (cli.child.exitCode !== null) throw new Error(`serve ended with ${cli.child.exitCode}:\n${cli.stderr()}`);
    const found = readHubFacts(dataDir);
    return found !== undefined && (await isReady(found)) ? found : undefined;
  }, READY_DEADLINE_MS);
  return {
    ...facts,
    ...addressOf(facts),
    cli,
    get: (path) => getJson(facts, path),
    async close() {
      if (cli.child.exitCode === null) cli.child.kill('SIGTERM');
      await cli.result;
    },
  };
}

/** GET under /api/v1; anything but 200 is an error. */
export async function getJson(facts: HubFacts, path: string): Promise<unknown> {
  const { origin, token } = addressOf(facts);
  const response = await fetch(`${origin}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`GET ${path} gave ${response.status}: ${await response.text()}`);
  return response.json();
}

/** All items of a list, page after page. */
export async function getAll<T>(facts: HubFacts, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let next: string | null = ''; next !== null;) {
    const cursor = next === '' ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(next)}`;
    const page = (await getJson(facts, `${path}${cursor}`)) as { readonly items: readonly T[]; readonly next: string | null };
    items.push(...page.items);
    next = page.next;
  }
  return items;
}

function addressOf({ url }: HubFacts): { readonly origin: string; readonly token: string } {
  const parsed = new URL(url);
  const token = parsed.searchParams.get('token') ?? new URLSearchParams(parsed.hash.slice(1)).get('token') ?? '';
  return { origin: parsed.origin, token };
}

async function isReady(facts: HubFacts): Promise<boolean> {
  try {
    const response = await fetch(`${addressOf(facts).origin}/health`);
    return ((await response.json()) as { readonly store: string }).store === 'ready';
  } catch {
    return false;
  }
}
