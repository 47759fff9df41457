/** What waits of stdio and what does not, and secrets that are written slower than anybody waits. */
import { Subject } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { redact } from '../../analyzers/redact.ts';
import type { Event } from '../../src/event.ts';
import { createFingerprint } from '../../src/fingerprint.ts';
import { LIMITS } from '../../src/limits.ts';
import { generator } from '../helpers/random.ts';
import { say, sayInPieces, shown, textOf } from '../helpers/said.ts';
import { PERCENT_ESCAPES, SECRETS, TEXT_ESCAPES } from '../helpers/secrets.ts';

const VALUE = 'Zq7Xw2Kd9Lm4Vb6Nc3Rt8Yp5Hj1Gf0Sa';
/** More than a first letter and a tick, less than what a key waits. */
const SLOW_MS = LIMITS.stdioHeldMs + 50;

/** Those that have left before anything else came. */
function leavingAtOnce(...texts: readonly string[]): string[] {
  const input = new Subject<Event>();
  const seen: Event[] = [];
  input.pipe(redact({ enabled: true })).subscribe((event) => seen.push(event));
  for (const text of texts) input.next(say(text));
  return seen.map(textOf);
}

describe('a chunk that ends in the middle of a line', () => {
  test.each([
    '$ ', '>>> ', 'Password: ', 'API_KEY=', 'Continue? [Y/n] ', '\r|#####     | 45%', '\r\x1b[2K/ working', 'Downloading 12', 'hello wor', 'token', 'and then', '(1/3',
    'https://example.com/a/b', 'usage: tool --token', 'drwxr-xr-x 12 root root 4096', '    at Object.<anonymous>', 'Bearer ', '-----BEGIN PRIVATE KEY-----',
  ])('leaves at once where nothing in it may be part of a secret: %j', (text) => {
    expect(leavingAtOnce(text)).toEqual([text]);
  });

  test.each([
    's', 'use g', ' sk-an', 'A', '"AKIA', ' eyJhbGci', ' eyJhbGciOiJIUzI1NiJ9.ab', 'password: hunt', 'db_password = hunt', 'Authorization: Bearer abc', 'Basic dXNl',
    'postgres://me:hunt', 'http://127.0.0.1:80', '?code=abcdef', 'curl -u me:12', 'API_KEY=abc', '{"token": "a b',
  ])('waits where something may be: %j', (text) => {
    expect(leavingAtOnce(text)).toEqual([]);
  });

  test('leaves with what shows that it is none, and in its order', () => {
    expect(leavingAtOnce('a p', 'art ', 's', 'k', 'ip', '\nnpm', '_modules and ')).toEqual(['a p', 'art ', 's', 'k', 'ip', '\nnpm', '_modules and ']);
    expect(leavingAtOnce('one ', 'gh', 'p_')).toEqual(['one ']);
    expect(leavingAtOnce('one s', 'ix gh')).toEqual(['one s']);
  });

  test('keeps nobody else waiting', () => {
    const input = new Subject<Event>();
    const seen: Event[] = [];
    input.pipe(redact({ enabled: true })).subscribe((event) => seen.push(event));
    const other = say('other', { target: 'pipe:[2]' });
    for (const event of [say('key sk-ant-'), other]) input.next(event);
    expect(seen).toEqual([other]);
  });
});

/** Texts with a secret, and the prefix that it has of its kind. */
const TEXTS: readonly (readonly [name: string, text: string, prefix: string])[] = [
  ...SECRETS.filter(({ kind }) => kind !== 'named').map(({ kind, text }) => [kind, `key ${text} end\n`, /^(?:sk-ant-|sk-|github_pat_|glpat-|[rs]k_live_|AIza|ya29\.|\w{2,4}?[_-]|AKIA|eyJ)/.exec(text)?.[0] ?? ''] as const),
  ['value of a line', `password: ${VALUE}!\n`, ''], ['value', `API_KEY=${VALUE} end\n`, ''], ['quoted', `{"token": "${VALUE} ${VALUE}", "a": 1}\n`, ''],
  ['header', `Authorization: Bearer ${VALUE}\n`, ''], ['credential', `use Bearer ${VALUE} now\n`, ''], ['URL', `postgres://me:pw${VALUE}@host/db\n`, ''], ['option', `curl -u me:${VALUE} x\n`, ''],
  ['key after an escape', `{"a":"x\\nsk-ant-${VALUE}\\n"}\n`, 'sk-ant-'], ['key in a colour', `\u001b[1;31mghp_${VALUE}\u001b[0m\n`, 'ghp_'],
  ['credential after an escape', `"a\\tBearer ${VALUE}"\n`, ''], ['code', `/back?code=${VALUE}&state=1\n`, ''], ['cookie', `Cookie: a=${VALUE}; b=c\n`, ''],
];
const LENGTHS = [[1], [2], [3], [4], [5], [4, 1, 3], [7]];

/** Places that only one of them masks. */
function differences(whole: string, said: string): { readonly open: number[]; readonly hidden: number[] } {
  const places = Array.from(whole, (_, at) => at).filter((at) => whole[at] !== said[at]);
  return { open: places.filter((at) => said[at] !== '*'), hidden: places.filter((at) => said[at] === '*') };
}

describe('a secret that is written slowly', () => {
  test.each(TEXTS)('shows its prefix at most, whatever the pieces: %s', (_, text, prefix) => {
    const [whole = ''] = shown([say(text)]).texts;
    expect(whole).not.toContain(VALUE);
    const secret = whole.indexOf('*') + prefix.length;
    for (const lengths of LENGTHS) {
      const slow = differences(whole, shown(sayInPieces(text, { lengths, everyMs: SLOW_MS })).texts.join(''));
      const never = differences(whole, shown(sayInPieces(text, { lengths, everyMs: LIMITS.stdioKeyHeldMs + SLOW_MS })).texts.join(''));
      for (const { open } of [slow, never]) expect(open.filter((at) => at >= secret), `pieces of ${lengths.join()}`).toEqual([]);
      expect(slow.hidden).toEqual([]);
    }
  });

  test('is told by one name, where it is whole within the time that is waited', () => {
    const fingerprint = createFingerprint();
    const key = `sk-ant-api03-${VALUE}`;
    const { found, counters } = shown(sayInPieces(`key ${key}\n`, { lengths: [4], everyMs: SLOW_MS }), { fingerprint });
    const names = new Set(found.flatMap(({ data }) => ('secrets' in data ? data.secrets : [])));
    expect([...names]).toEqual([`anthropic:${fingerprint(Buffer.from(key))}`]);
    expect(counters.get('stdio_keys_unfinished')).toBe(0);
  });

  test('is masked from where it was recognised when nobody finishes it, and counted', () => {
    const much = LIMITS.stdioKeyHeldMs + 1;
    const { texts, counters } = shown([say('is ghp_abc'), say('x\n', { target: 'pipe:[2]', timeMs: much }), say('def and on\n', { timeMs: much + 1 })]);
    // What was no key after all is shown from there on.
    expect(texts).toEqual(['is ghp_***', 'x\n', 'def and on\n']);
    expect(counters.get('stdio_keys_unfinished')).toBe(1);
    expect(shown([say('port 10 of ://host:8080'), say('x\n', { target: 'pipe:[2]', timeMs: much })]).counters.get('stdio_keys_unfinished')).toBe(0);
  });

  test('digits that begin a password of a URL or of curl are taken for a port or a group, and shown', () => {
    const { texts } = shown(sayInPieces('http://me:12ab@host/ -u 10:12ab x\n', { lengths: [1], everyMs: SLOW_MS }));
    expect(texts.join('')).toBe('http://me:12**@host/ -u 10:12** x\n');
  });
});

const PIECES = [
  ...SECRETS.flatMap(({ text }) => [text, text.slice(0, 12)]), ...TEXT_ESCAPES, ...TEXT_ESCAPES.map((escape) => JSON.stringify(escape).slice(1, -1)), ...PERCENT_ESCAPES, 'password', 'token', 'API_KEY', 'aws_secret_access_key', '--token', 'Authorization', 'Cookie', 'X-Api-Key', 'Bearer ', 'Basic ',
  ': ', ' = ', '=', ':', ' => ', '"', '\'', '\\"', ' ', ' ', ' ', '\n', '\n', '\r', '://', 'postgres://me:hunter2@host/db', 'http://127.0.0.1:80', '@', '-u ', '-u me:pw1!', '-u 10:20', '?code=', '&', '?key=',
  'login me password ', 'hooks.slack.com/services/', '-----BEGIN PRIVATE KEY-----\n', 'MIIEabc\n', '-----END PRIVATE KEY-----\n', 'hunter2!', 'sk-', 'gh', 'eyJ', 'A', '1//0', '12345', 'word', '{', ';', 'é', '\0', 'SG.', 'Digest ',
];

test.each([1, 2, 3, 4])('of any text, cut anywhere, the same bytes are masked as of the whole (seed %i)', (seed) => {
  const random = generator(seed);
  for (let round = 0; round < 1500; round++) {
    const text = Buffer.from(Array.from({ length: 1 + random(8) }, () => PIECES[random(PIECES.length)] ?? '').join(''));
    const lengths = Array.from({ length: 1 + random(4) }, () => 1 + random(random(3) === 0 ? 3 : text.length));
    const [whole] = shown([say(text)]).texts;
    expect(shown(sayInPieces(text, { lengths })).texts.join(''), `${JSON.stringify(text.toString())} in pieces of ${lengths.join()}`).toBe(whole);
  }
});
