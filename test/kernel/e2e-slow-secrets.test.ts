/** A key that a program streams to its output in small pieces, as a model's tokens come: nowhere in what is written, stored and printed. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { ApiEvent, Page } from '../../src/hub/api.ts';
import { parseLine } from '../../src/event-parse.ts';
import { runCli } from '../helpers/cli.ts';
import { getJson } from '../helpers/hub.ts';
import { hubFolderPerTest } from '../helpers/hub-folder.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { filesOf } from '../helpers/stored-files.ts';

const SECRET = 'Zq7Xw2Kd9Lm4Vb6Nc3Rt8Yp5Hj1Gf0Sa';
const PREFIX = 'sk-ant-api03-';
/** Four bytes each 150 ms: later than the first letters of a key are waited for. */
const STREAM = [
  'import os, sys, time',
  'text = sys.argv[1]',
  'os.write(1, b"the key is ")',
  'for at in range(0, len(text), 4):',
  '    time.sleep(0.15)',
  '    os.write(1, text[at:at + 4].encode())',
  'time.sleep(0.15)',
  'os.write(1, b" said the model\\n")',
].join('\n');

/** Every six characters of it that follow each other. */
const PARTS = Array.from({ length: SECRET.length - 5 }, (_, at) => SECRET.slice(at, at + 6));

describeKernel('a key in small pieces', () => {
  const folder = hubFolderPerTest();

  /** What the program wrote, as each place tells it, and the bytes of every file. */
  async function trace(...flags: string[]) {
    const file = folder.dir.file('out.jsonl');
    // The key is in its environment, not in a command line: of that one every place would show it.
    const run = await runCli(['trace', '--json', '--data-dir', folder.dataDir, '--server-port', '0', '--source', 'stdio', '-o', file, ...flags,
      '--', 'sh', '-c', 'exec /usr/bin/python3 -S -c "$0" "$KEY" > /dev/null', STREAM], { env: { KEY: PREFIX + SECRET } });
    expect(run.code, run.stderr).toBe(0);
    const { items } = await getJson(folder.facts(), '/events?source=stdio&limit=500') as Page<ApiEvent>;
    const stored = items.toSorted((one, other) => Number(BigInt(one.timestamp) - BigInt(other.timestamp)));
    const told = { file: textIn(readFileSync(file, 'utf8')), printed: textIn(run.stdout), stored: stored.map(({ data }) => String(data['payload'])).join('') };
    await runCli(['serve', '--stop', '--data-dir', folder.dataDir]);
    return { told, files: [...filesOf(folder.dataDir), [file, readFileSync(file)] as const] };
  }

  it('is masked in the file, in the lines that are printed, in the tables', async () => {
    const { told, files } = await trace();
    for (const [place, text] of Object.entries(told)) {
      expect(text, place).toHaveLength(`the key is ${PREFIX}${SECRET} said the model\n`.length);
      // Its prefix may be read, where the program was stopped for long.
      expect(text, place).toMatch(new RegExp(String.raw`^the key is [skant*-]{7}\*{${PREFIX.length - 7 + SECRET.length}} said the model\n$`));
    }
    for (const [name, bytes] of files) expect(PARTS.filter((part) => bytes.includes(part)), name).toEqual([]);
  });

  it('is there as it was written without redaction', async () => {
    const { told } = await trace('--no-redact');
    for (const [place, text] of Object.entries(told)) expect(text, place).toBe(`the key is ${PREFIX}${SECRET} said the model\n`);
  });
});

function textIn(lines: string): string {
  const events = lines.split('\n').filter((line) => line.includes('"source":"stdio"')).map(parseLine);
  return events.map((event) => (event.source === 'stdio' ? Buffer.from(event.data.payload).toString('latin1') : '')).join('');
}
