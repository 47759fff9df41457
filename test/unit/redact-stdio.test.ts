/** Secrets in what programs write and read: over the borders of calls, whatever the split, and nothing else changed. */
import { Subject } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, test } from 'vitest';
import { redact } from '../../analyzers/redact.ts';
import type { Event, StdioEvent } from '../../src/event.ts';
import { createFingerprint } from '../../src/fingerprint.ts';
import { LIMITS } from '../../src/limits.ts';
import { nanoseconds } from '../../src/time.ts';
import { everySource } from '../helpers/events.ts';
import { generator } from '../helpers/random.ts';
import { say, shown, textOf } from '../helpers/said.ts';
import { KEY_BLOCK } from '../helpers/secrets.ts';

const KEY = 'sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWx_12-34';
const STARS = '*'.repeat(KEY.length);

const TEXT = [
  'nothing here\n', `HOME=/root API_KEY=${KEY} PATH=/bin\n`, `{"api_key": "hunter2 hunter2", "text":"use ${KEY} é"}\n`, '$ ', `curl -H 'Authorization: Bearer abcdefghij'\n`,
  KEY_BLOCK, 'after\n', '\0\xff\n', `last ${KEY}`,
].join('');

describe('chunks of stdio', () => {
  const [whole = ''] = shown([say(TEXT)]).texts;

  test('a text in one chunk shows none of its secrets', () => {
    expect(whole).toContain(`API_KEY=${STARS} PATH=/bin\n{"api_key": "***************", "text":"use ${STARS} `);
    expect(whole).not.toContain('MIIE');
    expect(whole).toHaveLength(Buffer.byteLength(TEXT));
  });

  test('split at any place, and byte by byte, the same bytes are masked', () => {
    const bytes = Buffer.from(TEXT);
    for (let at = 1; at < bytes.length; at++) {
      const { texts } = shown([say(bytes.subarray(0, at)), say(bytes.subarray(at))]);
      expect(texts.map(({ length }) => length)).toEqual([at, bytes.length - at]);
      expect(texts.join(''), `cut at ${at}`).toBe(whole);
    }
    expect(shown(Array.from(bytes, (byte) => say(Buffer.of(byte)))).texts.join('')).toBe(whole);
  });

  test('of a call of which only the first bytes are kept are one text, which the next call does not go on with', () => {
    const text = `first ${KEY} and mo`;
    const cut = 20;
    const part = (start: number, end: number): StdioEvent => {
      const event = say(text.slice(start, end));
      return { ...event, data: { ...event.data, offset: start, total: 1000, truncated: true } };
    };
    const rest = 're: next call\n';
    const { texts } = shown([part(0, cut), part(cut, text.length), say(rest)]);
    expect(texts.join('')).toBe(`first ${STARS} and mo${rest}`);
    const half = KEY.slice(0, 14);
    expect(shown([{ ...say(half), data: { ...say(half).data, total: 1000, truncated: true } }, say(`${KEY.slice(14)}\n`)]).texts.at(-1)).toBe(`${KEY.slice(14)}\n`);
  });

  test.each([1, 2, 3, 4, 5, 6])('of several streams, cut and mixed at random, each keeps its order and its bytes (seed %i)', (seed) => {
    const random = generator(seed);
    const targets = ['pipe:[1]', 'pipe:[2]', '/dev/pts/3'];
    const bytes = Buffer.from(TEXT);
    const at = targets.map(() => 0);
    const events: StdioEvent[] = [];
    while (at.some((position) => position < bytes.length)) {
      const stream = random(targets.length);
      const start = at[stream] ?? 0;
      const end = Math.min(bytes.length, start + 1 + random(60));
      if (start < end) events.push(say(bytes.subarray(start, end), { target: targets[stream] ?? '' }));
      at[stream] = end;
    }
    const { found } = shown(events);
    for (const target of targets) {
      const own = (list: readonly Event[]): StdioEvent[] => list.filter((event): event is StdioEvent => event.source === 'stdio' && event.data.target === target);
      expect(own(found).map(textOf).join('')).toBe(whole);
      expect(own(found).map(({ data }) => data.len)).toEqual(own(events).map(({ data }) => data.len));
    }
  });

  test('both halves are told by the name of the whole', () => {
    const fingerprint = createFingerprint();
    const names = [`anthropic:${fingerprint(Buffer.from(KEY))}`];
    const { found, counters } = shown([say(`key ${KEY.slice(0, 9)}`), say(`${KEY.slice(9)}\n`)], { fingerprint });
    expect(found.map(({ data }) => ('secrets' in data ? data.secrets : []))).toEqual([names, names]);
    expect(counters.snapshot()).toMatchObject({ masked_events: 2, masked_secrets: 2 });
  });

  test('without a secret the very event is passed on', () => {
    const events = [say('a li'), say('ne\nand'), say(' more\n')];
    const { found } = shown(events);
    expect(found).toEqual(events);
    expect(found[2]).toBe(events[2]);
  });

  test('what was masked is not touched again', () => {
    const first = shown([say(`API_KEY=${KEY.slice(0, 20)}`), say(`${KEY.slice(20)}\n`)]).found;
    const { found, counters } = shown(first);
    expect(found).toEqual(first);
    expect(counters.get('masked_secrets')).toBe(0);
  });
});

describe('a line that does not end', () => {
  test('leaves after a while where it ends in a secret, and what comes then is read with it', () => {
    const later = LIMITS.stdioKeyHeldMs + 1;
    const { texts } = shown([say(`password: "${KEY.slice(0, 20)}`), say('x', { target: 'pipe:[2]', timeMs: later }), say(`${KEY.slice(20)} hunter2" end\n`, { timeMs: later + 500 })]);
    expect(texts).toEqual([`password: "${'*'.repeat(20)}`, 'x', `${'*'.repeat(KEY.length - 20 + 8)}" end\n`]);
  });

  test('leaves without any event, by the clock: the first letters of a prefix soon, what is recognised later', () => {
    const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
    scheduler.run(({ hot, expectObservable }) => {
      const letters = say('$ gh');
      const key = say(`is ${KEY.slice(0, 8)}`, { target: 'pipe:[2]' });
      const line = say('whole\n', { target: 'pipe:[3]' });
      const masked = { ...key, data: { ...key.data, payload: Buffer.from('is sk-ant-*') } };
      const events = hot('(ab) 200ms c', { a: letters, b: key, c: line });
      // The last frame of (ab) is its first; it takes four.
      expectObservable(events.pipe(redact({ enabled: true, scheduler }))).toBe('100ms a 103ms c 4795ms b', { a: letters, b: masked, c: line });
    });
  });

  test('leaves before its process ends, and with the last event', () => {
    const exit = { ...everySource().find((event) => event.source === 'process' && event.data.event === 'EXIT') as Event, process: 'p', timestamp: nanoseconds(1n) };
    const { found } = shown([say('p gh'), say('q gh', { process: 'q', target: 'pipe:[2]' }), exit as Event]);
    expect(found.map((event) => (event.source === 'stdio' ? textOf(event) : event.source))).toEqual(['p gh', 'process', 'q gh']);
  });

  test('frees what it holds when nobody listens any more', () => {
    const input = new Subject<Event>();
    const seen: Event[] = [];
    const subscription = input.pipe(redact({ enabled: true })).subscribe((event) => seen.push(event));
    input.next(say('half gh'));
    subscription.unsubscribe();
    input.next(say('p_ and no line\n'));
    expect(seen).toEqual([]);
  });
});

describe('bounds', () => {
  test('of one line: it leaves in parts, and secrets over their borders are masked', () => {
    const text = `token="${`filler ${KEY} `.repeat(40)}" and more\n`;
    const pieces = Array.from({ length: Math.ceil(text.length / 7) }, (_, i) => say(text.slice(i * 7, i * 7 + 7)));
    const input = new Subject<Event>();
    const seen: Event[] = [];
    input.pipe(redact({ enabled: true, limits: { stdioLineBytes: 500 } })).subscribe((event) => seen.push(event));
    for (const piece of pieces.slice(0, 100)) input.next(piece);
    expect(seen.length).toBeGreaterThan(50);
    for (const piece of pieces.slice(100)) input.next(piece);
    expect(seen.map(textOf).join('')).toBe(`token="${'*'.repeat(text.length - 18)}" and more\n`);
  });

  test('of all lines together, and of their number: counted', () => {
    const many = Array.from({ length: 40 }, (_, i) => say(`API_KEY=${KEY}`, { target: `pipe:[${i}]` }));
    const full = shown(many, { limits: { stdioHeldBytes: 200 } });
    expect(full.counters.get('stdio_held_full')).toBeGreaterThan(0);
    const forgotten = shown(many, { limits: { stdioOpenLines: 8 } });
    expect(forgotten.counters.get('stdio_lines_forgotten')).toBe(32);
    for (const { texts } of [full, forgotten]) expect(texts).toEqual(many.map(() => `API_KEY=${STARS}`));
  });

  // Anything quadratic takes minutes at this size and so meets the time limit of a test, on a busy machine and on a fast one.
  test.each([
    ['of many secrets', 'a&', 'token=a&', 'token=*&', 100_000], ['of one secret', '"', ' ', '*', 30_000], ['of beginnings', '', 'sk-', '***', 30_000],
  ])('a long line in small writes is read in linear time: %s', (_, value, piece, masked, number) => {
    const events = [say(`token=${value}`), ...Array.from({ length: number }, () => say(piece))];
    expect(shown(events).texts.slice(1).every((text) => text === masked)).toBe(true);
  });
});

test('bytes that were lost or not read end the line', () => {
  const half = say(`API_KEY=${KEY.slice(0, 20)}`);
  const later = say('plain words');
  const gap: StdioEvent = { ...later, data: { ...later.data, offset: 999, total: 2000 } };
  const cut: StdioEvent = { ...half, data: { ...half.data, total: 999 } };
  const moved: StdioEvent = { ...later, data: { ...later.data, payload: Buffer.alloc(0), len: 0, withheld: 5 } };
  expect(shown([cut, later]).texts).toEqual([`API_KEY=${'*'.repeat(20)}`, 'plain words']);
  expect(shown([half, gap]).texts).toEqual([`API_KEY=${'*'.repeat(20)}`, 'plain words']);
  expect(shown([half, moved, say('plain words')]).texts).toEqual([`API_KEY=${'*'.repeat(20)}`, '', 'plain words']);
});
