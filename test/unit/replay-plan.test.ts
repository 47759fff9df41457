import { writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { toLine } from '../../src/event-json.ts';
import { scanCapture } from '../../src/runners/replay.ts';
import { analyze, chunksOf, readCases } from '../cases.ts';
import { tempDir } from '../helpers/files.ts';

test('a replay computes anew what its chunks tell, and keeps what was recorded where bodies were left out', async () => {
  const folder = tempDir();
  onTestFinished(folder.remove);
  const path = folder.file('capture.jsonl');
  const [plain] = readCases('http');
  const [coded] = readCases('coding');
  const lines = [plain, coded].flatMap((one, index) => {
    const { order } = analyze(chunksOf(one?.blocks ?? [], () => []), { raw: true, locateSecrets: () => [] });
    return order.map((event) => toLine(event).replaceAll('"c1', `"${['plain', 'coded'][index]}`));
  });
  writeFileSync(path, `${lines.join('\n')}\nno line\n`);
  expect(await scanCapture(path)).toEqual({ recompute: new Set(['plain']), recorded: new Set(['coded']) });
});
