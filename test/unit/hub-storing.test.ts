/** Whether the live stream is ahead of the store: what a page has to ask for once more. */
import { afterEach, expect, test } from 'vitest';
import { Collectors } from '../../src/hub/collectors.ts';
import { tempDir } from '../helpers/files.ts';
import { openLinkClient, type LinkClient } from '../helpers/link-client.ts';
import { waitFor } from '../helpers/wait.ts';

const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Hub {
  readonly collectors: Collectors;
  readonly shown: string[];
  /** Ends the oldest insert that runs, well or not. */
  store(failure?: Error): void;
  join(name: string): Promise<LinkClient>;
}

async function startCollectors(): Promise<Hub> {
  const dir = tempDir();
  cleanups.push(() => dir.remove());
  const waiting: ((failure?: Error) => void)[] = [];
  const shown: string[] = [];
  const collectors = new Collectors({
    store: { insertBatch: () => new Promise((resolve, reject) => { waiting.push((failure) => (failure === undefined ? resolve({ stored: 1, refused: 0 }) : reject(failure))); }) },
    publish: (lines) => shown.push(lines.toString()),
    version: 'test', hub: 'hub', url: () => 'http://127.0.0.1/', log: () => undefined, onCollectors: () => undefined,
  });
  await collectors.listen(dir.file('hub.sock'));
  cleanups.push(async () => {
    for (const end of waiting.splice(0)) end();
    await collectors.close();
  });
  return {
    collectors, shown,
    store: (failure) => waiting.shift()?.(failure),
    async join(name) {
      const link = await openLinkClient(dir.file('hub.sock'), name);
      cleanups.push(() => link.close());
      return link;
    },
  };
}

test('it is from the moment a batch is shown until the store has all of them', async () => {
  const { collectors, shown, store, join } = await startCollectors();
  const link = await join('h.b.one');
  expect(collectors.storing).toBe(false);
  await link.send(Buffer.from('first'));
  const second = await link.send(Buffer.from('second'));
  await waitFor('both to be shown', () => shown.length === 2);
  expect(collectors.storing).toBe(true);
  store();
  await link.acknowledged(1);
  expect(collectors.storing).toBe(true);
  store();
  await link.acknowledged(second);
  expect(collectors.storing).toBe(false);
});

test('it stays so while a collector that lost its connection has not sent again what was not stored', async () => {
  const { collectors, shown, store, join } = await startCollectors();
  const link = await join('h.b.one');
  await link.send(Buffer.from('first'));
  await waitFor('the batch to be shown', () => shown.length === 1);
  link.close();
  await waitFor('the hub to notice', () => collectors.connected === 0);
  store(new Error('the engine has gone'));
  expect(collectors.storing).toBe(true);
  const again = await join('h.b.one');
  const sequence = await again.send(Buffer.from('first'));
  await waitFor('the insert to be asked', () => collectors.counters()['batches'] === 2);
  expect(collectors.storing).toBe(true);
  store();
  await again.acknowledged(sequence);
  expect(collectors.storing).toBe(false);
  expect(shown).toEqual(['first']);
});
