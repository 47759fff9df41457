/** Secrets in a launched command line: nowhere in what the hub stores, answers or is told of the trace itself. */
import { expect, it } from 'vitest';
import type { Info, Session } from '../../src/hub/api.ts';
import { runCli } from '../helpers/cli.ts';
import { getJson, type HubFacts } from '../helpers/hub.ts';
import { hubFolderPerTest } from '../helpers/hub-folder.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { SECRETS } from '../helpers/secrets.ts';
import { filesOf } from '../helpers/stored-files.ts';

const texts = SECRETS.map(({ text }) => text);
/** Every secret as a value of one word, as a word of its own, in a header, in a URL, and as a shell sets it. */
const ARGUMENTS = texts.flatMap((text) => [
  `--api-key=${text}`, '--token', text, '-H', `X-Api-Key: ${text}`, `https://127.0.0.1/?key=${text}`, `SERVICE_TOKEN=${text}`,
]);

describeKernel('a command line with secrets', () => {
  const folder = hubFolderPerTest();

  async function trace(...flags: string[]): Promise<HubFacts> {
    const result = await runCli(['trace', '-q', '--data-dir', folder.dataDir, '--server-port', '0', '--source', 'process', ...flags, '--', 'sh', '-c', 'exit 3', 'agent', ...ARGUMENTS]);
    expect(result.code, result.stderr).toBe(3);
    return folder.facts();
  }

  /** What the hub answers, and every file that it wrote, by name. */
  async function written(facts: HubFacts): Promise<ReadonlyMap<string, Buffer>> {
    const found = new Map<string, Buffer>();
    for (const list of ['info', 'sessions', 'processes', 'events']) found.set(list, Buffer.from(JSON.stringify(await getJson(facts, `/${list}`))));
    await runCli(['serve', '--stop', '--data-dir', folder.dataDir]);
    return new Map([...found, ...filesOf(folder.dataDir)]);
  }

  const holders = (found: ReadonlyMap<string, Buffer>): string[] => [...found].filter(([, bytes]) => texts.some((text) => bytes.includes(text))).map(([name]) => name);

  it('is masked in the greeting of the collector, in sessions, in events, in every file', async () => {
    const facts = await trace();
    const { collectors } = await getJson(facts, '/info') as Info;
    const { items } = await getJson(facts, '/sessions') as { readonly items: readonly Session[] };
    const shown = ['sh', '-c', 'exit 3', 'agent', ...ARGUMENTS.map((word) => texts.reduce((masked, text) => masked.replace(text, '*'.repeat(text.length)), word))];
    expect(collectors.map(({ command, redaction }) => ({ command, redaction }))).toEqual([{ command: shown, redaction: true }]);
    expect(items.map(({ command }) => command)).toEqual([shown]);
    const found = await written(facts);
    expect(found.size).toBeGreaterThan(8);
    expect(holders(found)).toEqual([]);
  });

  it('is there as it was written without redaction, and the collector says that it masks nothing', async () => {
    const facts = await trace('--no-redact');
    const { collectors } = await getJson(facts, '/info') as Info;
    expect(collectors.map(({ command, redaction }) => ({ command, redaction }))).toEqual([{ command: ['sh', '-c', 'exit 3', 'agent', ...ARGUMENTS], redaction: false }]);
    const found = holders(await written(facts));
    expect(found).toEqual(expect.arrayContaining(['info', 'sessions', 'processes', 'events']));
    expect(found.some((name) => name.startsWith(folder.dataDir))).toBe(true);
  });
});
