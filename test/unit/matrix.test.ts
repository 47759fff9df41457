/** The table of what is captured, in bpf/README.md: each row names a test that is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../helpers/files.ts';

interface Row {
  readonly runtime: string;
  readonly direction: string;
  readonly test: string;
}

const HEAD = '| runtime | direction | endpoint | method | test |';
const LEAST_ROWS = 20;

function readTable(text: string): Row[] {
  const lines = text.slice(text.indexOf(HEAD)).split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end).map((line) => {
    const [, runtime = '', direction = '', , , name = ''] = line.split('|').map((cell) => cell.trim());
    return { runtime, direction, test: name };
  });
}

/** Why the row proves nothing, or null. */
function flaw({ direction, test: named }: Row): string | null {
  if (!['both', 'read', 'write', 'named'].includes(direction)) return `direction ${direction}`;
  const [, file, name] = /^`(?<file>[\w/-]+)`: (?<name>.+)$/.exec(named) ?? [];
  if (file === undefined || name === undefined) return 'no `folder/file`: name of a test';
  const path = join(ROOT, 'test', `${file}.test.ts`);
  if (!existsSync(path)) return `no test/${file}.test.ts`;
  const quoted = readFileSync(path, 'utf8').split(/(?:test|it)(?:\.each)?\(|\]\)\(/).some((part) => part.startsWith(`'${name.replaceAll("'", "\\'")}'`));
  return quoted ? null : `no test '${name}' in test/${file}.test.ts`;
}

const rows = readTable(readFileSync(join(ROOT, 'bpf/README.md'), 'utf8'));

test('the table has its rows, each for another runtime', () => {
  expect(rows.length).toBeGreaterThanOrEqual(LEAST_ROWS);
  expect(new Set(rows.map(({ runtime }) => runtime)).size).toBe(rows.length);
});

test.each(rows)('$runtime is proven by a test that is there', (row) => expect(flaw(row)).toBeNull());

test('a row without its test would be noticed', () => {
  const [row] = rows as [Row];
  expect(flaw({ ...row, test: '`kernel/tls-programs`: no such test' })).toMatch(/no test/);
  expect(flaw({ ...row, test: '`kernel/no-such-file`: curl' })).toMatch(/no-such-file/);
  expect(flaw({ ...row, test: 'curl' })).toMatch(/name of a test/);
  expect(flaw({ ...row, direction: '' })).toMatch(/direction/);
});
