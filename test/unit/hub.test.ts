import { appendFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseByteInsert } from '../../src/hub/engine/insert.ts';
import { isLoopbackHost, isToken } from '../../src/hub/guard.ts';
import { readOwned } from '../../src/hub/hub-file.ts';
import { readLiveLine } from '../../src/hub/live-line.ts';
import { decodeEventCursor, encodeEventCursor, sequenceOf } from '../../src/hub/store/cursor.ts';
import { countLines } from '../../src/hub/store/ingest.ts';
import { cutText, cutValue, listedEvent, type EventRow } from '../../src/hub/store/rows.ts';
import { tempDir } from '../helpers/files.ts';

describe('an insert whose data are bytes', () => {
  test('is recognised with and without columns', () => {
    expect(parseByteInsert('INSERT INTO events (a, `b c`) FORMAT JSONEachRow')).toEqual({ table: 'events', columns: ['a', 'b c'], format: 'JSONEachRow' });
    expect(parseByteInsert('insert into db.`t 1` format CSV\n')).toEqual({ table: 'db.t 1', columns: null, format: 'CSV' });
  });

  test('is nothing else', () => {
    for (const sql of ['SELECT 1', 'INSERT INTO t VALUES (1)', 'INSERT INTO t (a + 1) FORMAT CSV', 'INSERT INTO t FORMAT RowBinary', 'INSERT INTO t SELECT 1 FORMAT CSV']) {
      expect(parseByteInsert(sql)).toBeNull();
    }
  });
});

describe('a cursor', () => {
  test('comes back as it went', () => {
    const place = { time: '1763673600123456789', id: 'h.b.c.18446744073709551615' };
    expect(decodeEventCursor(encodeEventCursor(place))).toEqual({ ...place, sequence: '18446744073709551615' });
  });

  test('of somebody else is none', () => {
    for (const text of ['', 'zzz', Buffer.from('x y').toString('base64url'), Buffer.from('17').toString('base64url')]) expect(decodeEventCursor(text)).toBeNull();
  });

  test('reads the sequence as the store does', () => {
    expect(['a.b.7', 'a.b.x', '18446744073709551616', 'a.', '12'].map(sequenceOf)).toEqual(['7', '0', '0', '0', '12']);
  });
});

describe('cutting', () => {
  const long = 'a'.repeat(2047) + '\u{1f600}' + 'b'.repeat(100);

  test('never splits a character', () => {
    const { value, cut } = cutValue({ deep: [long] });
    expect(cut).toBe(true);
    expect(value).toEqual({ deep: ['a'.repeat(2047)] });
  });

  test('leaves the text of what is short enough alone', () => {
    const text = `{"n":18446744073709551615,"s":${JSON.stringify('x'.repeat(2048))}}`;
    expect(cutText(text)).toEqual({ json: text, cut: false });
  });

  test('gives valid JSON wherever the store has cut a string', () => {
    const json = JSON.stringify('é"\\\u0001\u{1f600}'.repeat(2000));
    const bytes = Buffer.from(json);
    for (let end = 12_270; end < 12_290; end += 1) {
      const row: EventRow = {
        time: '1', source: 'http', pid: 1, comm: 'c', id: 'i.1', process: '', session: '', data: '',
        parts: [['body', bytes.subarray(0, end).toString('utf8'), String(bytes.length)], ['list', '[1,2', '99999'], ['n', '5', '1']],
      };
      const event = JSON.parse(listedEvent(row)) as { data: { body: string; list: unknown; n: number }; cut: boolean };
      expect(event.cut).toBe(true);
      expect(JSON.parse(json).startsWith(event.data.body)).toBe(true);
      expect(event.data.body.length).toBeGreaterThanOrEqual(2047);
      expect(event.data).toMatchObject({ list: [], n: 5 });
    }
  });
});

describe('a line for the live stream', () => {
  test('keeps its text and every digit of its time', () => {
    const line = '{"timestamp":1763673600123456789,"source":"tls","data":{"n":18446744073709551615},"session":"s"}';
    expect(readLiveLine(line)).toEqual({ session: 's', json: line.replace('1763673600123456789', '"1763673600123456789"') });
  });

  test('is refused when it is none', () => {
    for (const text of ['', '{}', '{"timestamp":"1","data":{}}', '{"timestamp":1,"data":', '[1]', '{"source":"x","timestamp":1}']) expect(readLiveLine(text)).toBeNull();
  });
});

test('lines are counted without the empty ones', () => {
  expect(['', '\n', 'a', 'a\n', 'a\nb', '\na\n\nb\n'].map((text) => countLines(Buffer.from(text)))).toEqual([0, 0, 1, 1, 2, 2]);
});

test('only loopback names are ours', () => {
  expect(['127.0.0.1', '127.0.0.1:7395', 'localhost:1', 'LOCALHOST', '[::1]:80'].every(isLoopbackHost)).toBe(true);
  expect([undefined, '', 'evil.example', '127.0.0.1.evil.example:80', 'localhost.evil:1', '10.0.0.1', '127.0.0.1:80@evil'].some(isLoopbackHost)).toBe(false);
});

test('a token is compared whole', () => {
  expect(isToken('abc', 'abc')).toBe(true);
  expect([null, '', 'ab', 'abcd', 'ABC'].some((given) => isToken(given, 'abc'))).toBe(false);
});

test('of a file in a folder that another user controls only the end is read, and only of a file of that user', () => {
  const dir = tempDir();
  const path = dir.file('hub.log');
  writeFileSync(path, 'begin\n');
  // A sparse file of a terabyte costs its owner nothing.
  truncateSync(path, 2 ** 40);
  appendFileSync(path, 'the end\n');
  expect(readOwned(path, process.getuid?.(), 8)).toBe('the end\n');
  expect(readOwned(path, (process.getuid?.() ?? 0) + 1, 8)).toBeNull();
  symlinkSync(path, dir.file('link'));
  expect(readOwned(dir.file('link'), undefined, 8)).toBeNull();
  expect(readOwned(dir.path, undefined, 8)).toBeNull();
  dir.remove();
});
