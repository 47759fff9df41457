/**
 * The table of what is captured, in bpf/README.md: each row names a test that is
 * there and that holds what it saw against the row's columns (expectRow).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Event, ProbeMethod } from '../../src/event.ts';
import { chunk, eventOf } from '../helpers/events.ts';
import { ROOT } from '../helpers/files.ts';
import { expectRow, matrixRows, statedBy, type MatrixRow } from '../helpers/matrix.ts';

const LEAST_ROWS = 20;

/** Why the row proves nothing, or null. */
function flaw({ runtime, direction, test: named }: MatrixRow): string | null {
  if (!['both', 'read', 'write', 'named'].includes(direction)) return `direction ${direction}`;
  const [, file, name] = /^`(?<file>[\w/-]+)`: (?<name>.+)$/.exec(named) ?? [];
  if (file === undefined || name === undefined) return 'no `folder/file`: name of a test';
  const path = join(ROOT, 'test', `${file}.test.ts`);
  if (!existsSync(path)) return `no test/${file}.test.ts`;
  const source = readFileSync(path, 'utf8');
  const quoted = source.split(/(?:test|it)(?:\.each)?\(|\)\(/).some((part) => part.startsWith(`'${name.replaceAll("'", "\\'")}'`));
  if (!quoted) return `no test '${name}' in test/${file}.test.ts`;
  return source.includes(`'${runtime}'`) ? null : `test/${file}.test.ts does not compare what it saw with this row`;
}

const rows = matrixRows();

test('the table has its rows, each for another runtime', () => {
  expect(rows.length).toBeGreaterThanOrEqual(LEAST_ROWS);
  expect(new Set(rows.map(({ runtime }) => runtime)).size).toBe(rows.length);
});

test.each(rows)('$runtime is proven by a test that is there', (row) => expect(flaw(row)).toBeNull());

test('a row without its test would be noticed', () => {
  const [row] = rows as [MatrixRow];
  expect(flaw({ ...row, test: '`kernel/tls-programs`: no such test' })).toMatch(/no test/);
  expect(flaw({ ...row, test: '`kernel/no-such-file`: curl' })).toMatch(/no-such-file/);
  expect(flaw({ ...row, test: 'curl' })).toMatch(/name of a test/);
  expect(flaw({ ...row, direction: '' })).toMatch(/direction/);
  expect(flaw({ ...row, runtime: 'no such runtime' })).toMatch(/does not compare/);
});

describe('what a run states of itself', () => {
  const ENDPOINT = { family: 'ipv4', local: { address: '127.0.0.1', port: 40_000 }, remote: { address: '127.0.0.1', port: 443 }, socket: '7' } as const;

  function run(evidence: 'proven' | 'inferred', method: ProbeMethod): Event[] {
    const data = { event: 'DATA', connection: 'c1', position: 0, library: 'openssl', endpoint: ENDPOINT, server_name: null } as const;
    const probe = { place: null, build_id: null, library: 'openssl', status: 'attached', functions: [], reason: null, steps: [] } as const;
    return [
      eventOf('probe', { ...probe, path: '/lib/libssl.so.3', method }),
      eventOf('probe', { ...probe, path: '/bin/node', method: 'locator' }),
      eventOf('tls', { event: 'ENDPOINT', connection: 'c1', endpoint: ENDPOINT, server_name: null, evidence, library: 'openssl' }),
      eventOf('tls', { ...data, ...chunk(Buffer.from('asked')) }),
      eventOf('tls', { ...data, ...chunk(Buffer.from('answered')), direction: 'read' }),
    ];
  }

  test('is compared with its row', () => {
    expect(statedBy(run('proven', 'internal'), '/lib/libssl.so.3')).toEqual({ direction: 'both', endpoint: 'proven', method: 'internal' });
    expectRow('OpenSSL, shared: curl', run('proven', 'internal'), '/lib/libssl.so.3');
  });

  test.each([
    ['another endpoint', run('inferred', 'internal'), '/lib/libssl.so.3'],
    ['another method', run('proven', 'symbol'), '/lib/libssl.so.3'],
    ['another file', run('proven', 'internal'), '/bin/node'],
    ['one direction only', run('proven', 'internal').slice(0, -1), '/lib/libssl.so.3'],
    ['nothing', [], '/lib/libssl.so.3'],
  ])('with %s is not what the row says', (_what, events, file) => {
    expect(() => expectRow('OpenSSL, shared: curl', events, file)).toThrow(/bpf\/README.md says of OpenSSL, shared: curl/);
  });
});
