/** The filter field of the page: words or an expression, and what is wrong with one. */
import { expect, test } from 'vitest';
import { isExpression, problemOf } from '../../ui/src/lib/expression.ts';
import { filterByIds } from '../../ui/src/lib/filter.ts';
import type { Row } from '../../ui/src/lib/row.ts';

test.each([
  ['status >= 400', true], ['source=http', true], ['comm ~ node', true], ['path ^= "/v1"', true], ['NOT (pid = 1)', true], ['pid <', true],
  ['', false], ['error', false], ['source:http -word', false], ['is:error', false], ['"a=b"', false], ['kind:"x > y" z', false], ["'a<b'", false],
])('%j is an expression: %s', (text, expected) => {
  expect(isExpression(text)).toBe(expected);
});

test('an expression that cannot be read says where and why', () => {
  expect(problemOf('status >= 400 AND comm = node')).toBeNull();
  expect(problemOf('status >')).toEqual({ column: 9, message: 'the filter ends where a value was expected after >' });
  expect(problemOf('sttaus = 1')).toEqual({ column: 1, message: 'there is no field sttaus; did you mean status?' });
  expect(problemOf('latency_ms > 1s')).toEqual({ column: 14, message: '1s is no number; latency_ms is in milliseconds' });
  expect(problemOf('x'.repeat(10_000))).toMatchObject({ column: null });
});

test('rows are chosen by what the hub named, and by their source; all while the expression cannot be read', () => {
  const row = (id: string, source: Row['source']): Row => ({
    id, source, kind: '', t: 0, end: 0, mid: 0, pid: 1, comm: '', process: null, tone: 'plain', title: '', note: '', bytes: 0, exchange: null, http: null, data: null,
  });
  const rows = [row('a', 'http'), row('b', 'http'), row('c', 'sse')];
  const shown = (filter: ReturnType<typeof filterByIds>): string => rows.filter((one) => filter.matches(one)).map(({ id }) => id).join('');
  expect(shown(filterByIds('x = 1', null, new Set(['a', 'c'])))).toBe('ac');
  expect(shown(filterByIds('x = 1', new Set(['http']), new Set(['a', 'c'])))).toBe('a');
  expect(shown(filterByIds('x =', null, null))).toBe('abc');
  expect(filterByIds('x = 1', null, new Set()).empty).toBe(false);
});
