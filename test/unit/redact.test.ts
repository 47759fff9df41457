import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { createRedactCounters, createSecretLocator, locateSecrets, redact } from '../../analyzers/redact.ts';
import { toLine } from '../../src/event-json.ts';
import { parseLine } from '../../src/event-parse.ts';
import type { Event, ExecData, StdioEvent } from '../../src/event.ts';
import { createFingerprint } from '../../src/fingerprint.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunk, eventOf, everySource, httpData, stdioEvent } from '../helpers/events.ts';
import { expectMasked, masked } from '../helpers/masked.ts';
import { PERCENT_ESCAPES, SECRETS, TEXT_ESCAPES, named } from '../helpers/secrets.ts';

async function run(events: readonly Event[], options: Partial<Parameters<typeof redact>[0]> = {}): Promise<Event[]> {
  return lastValueFrom(from(events).pipe(redact({ enabled: true, ...options }), toArray()));
}

const KEY = 'sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWx_12-34';

test('paths are masked, and what a link says', async () => {
  const path = `/tmp/${KEY}`;
  const data = {
    event: 'SYMLINK', path, target: `token=${KEY}`, error: null, flags: [], created: null, mode: null, length: null, uid: null, gid: null, count: 1,
    span_ms: 0, truncated: false,
  } as const;
  const io = { event: 'IO', path, read_bytes: 1, read_calls: 1, written_bytes: 0, write_calls: 0, span_ms: 0, truncated: false } as const;
  const plain = eventOf('file', { ...data, path: '/etc/passwd', target: null });
  const [link, sums, same] = await run([eventOf('file', data), eventOf('file', io), plain]);
  expect(JSON.stringify([link?.data, sums?.data])).not.toContain('AbCdEf');
  expect(link?.data).toMatchObject({ path: `/tmp/${'*'.repeat(KEY.length)}`, target: `token=${'*'.repeat(KEY.length)}` });
  expect(same).toBe(plain);
});

describe('a head', () => {
  test.each([
    `POST /v1/messages HTTP/1.1\r\nHost: api.anthropic.com\r\nX-Api-Key: ‹${KEY}›\r\nContent-Length: 12\r\n\r\n`,
    'GET / HTTP/1.1\r\nAuthorization: Bearer ‹abc.def-ghi›\r\nCookie: ‹sid=1; theme=dark›\r\n\r\n',
    'GET / HTTP/1.1\r\nproxy-authorization: Basic ‹dXNlcjpwYXNz›\r\n\r\n',
    'GET / HTTP/1.1\r\nAuthorization: ‹raw-credential›\r\n\r\n',
    'HTTP/1.1 200 OK\r\nSet-Cookie: ‹a=b; HttpOnly›\r\nSet-Cookie: ‹c=d›\r\n\r\n',
    'GET /v1beta/models?key=‹AIzaSyExample›&alt=sse HTTP/1.1\r\nx-goog-api-key: ‹short›\r\n\r\n',
    'GET /cb?state=1&access_token=‹abc›&x=2&sig=‹deadbeef› HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nReferer: https://user:‹hunter2›@host.test/path\r\n\r\n',
    'GET / HTTP/1.1\r\nX-Custom-Token: ‹t›\r\nX-Client-Secret: ‹s›\r\nApi-Key: ‹k›\r\nX-Session-Token: ‹z›\r\n\r\n',
    'GET / HTTP/1.1\r\nOcp-Apim-Subscription-Key: ‹k›\r\nX-Functions-Key: ‹f›\r\nX-Hub-Signature: ‹s›\r\napi_key: ‹a›\r\nX-Forwarded-Authorization: Bearer ‹b›\r\nX-Auth: ‹c›\r\n\r\n',
    'GET /cb?code=‹4/0AbcdefghijklmnopqrstuVW›&state=1&sessionid=‹abc›;jsessionid=‹def› HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nX-Session-Token: ‹z›\r\n ‹folded›\r\n\t‹twice more›\r\nX-A: b\r\n c\r\n\r\n',
    'GET / HTTP/1.1\r\nX-Session-Token : ‹z›\r\n\r\n',
    'GET /a?auth=‹abc›&hmac=‹def›;pass=‹ghi›&pwd=‹jkl› HTTP/1.1\r\nX-Session: ‹m›\r\nX-Jwt: ‹n›\r\nSignature: ‹o›\r\nX-Passphrase: ‹p›\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\rX-Api-Key: ‹b›\r\nHost: a\r\nFoo\rX-Token: ‹abc›\r\n\r\n',
  ])('%#', (head) => expectMasked('head', head));

  test.each([
    'HTTP/1.1 200 OK\r\nanthropic-ratelimit-tokens-remaining: 12000\r\nx-ratelimit-limit-tokens: 1\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n',
    'GET /search?monkey=1&tokens=3 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n',
    'GET https://host.test:8080/a@b HTTP/1.1\r\n\r\n',
    'GET /?code=200&zipcode=12345&id=7&void=1 HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nIdempotency-Key: 7\r\nCache-Key: x\r\n\r\n',
  ])('nothing in %#', (head) => expect(locateSecrets('head', Buffer.from(head))).toEqual([]));
});

describe('a body', () => {
  test.each([
    '{"api_key":"‹abc›","user":"me","client_secret": "‹s p a c e›"}',
    '{"password":"‹a\\"b\'c\\\\›","next":"stays"}',
    '{"refresh_token" : "‹x›", "accessToken":"‹y›", "token_type":"bearer", "max_tokens":1024}',
    '{"input":"{\\"api_key\\":\\"‹abc›\\",\\"path\\":\\"/tmp\\"}"}',
    '{"a":"{\\"b\\":\\"{\\\\\\"password\\\\\\":\\\\\\"‹abc›\\\\\\",\\\\\\"c\\\\\\":1}\\"}"}',
    'grant_type=password&username=me&password=‹hunter2›&scope=all',
    'client_secret=‹abc›&x=1',
    'key=‹abcdef›&x=1',
    '{"cmd":"curl -H \\"x-api-key: ‹abc123def›\\" https://h.test"}',
    "curl -H 'Authorization: Bearer ‹abcdefgh›' https://h.test",
    `export ANTHROPIC_API_KEY=‹${KEY}›\n`,
    'OPENAI_API_KEY="‹quoted value›" node x.js',
    'AWS_SECRET_ACCESS_KEY=‹wJalrXUtnFEMI/K7MDENG+bPxRfiCY=›',
    'git clone https://bot:‹p4ss›@github.com/x/y',
    `the key is ‹${KEY}›, keep it`,
    '‹ghp_abcdefghijklmnopqrstuvwxyz0123456789› ‹github_pat_11ABCDEFG0abcdefghijkl›',
    '(‹glpat-abcdefghijklmnopqrst›) [‹xoxb-1234567890-abcdef›] "‹AKIAIOSFODNN7EXAMPLE›"',
    '‹AIzaSyA1234567890abcdefghijklmnopqrstuv›;‹npm_abcdefghijklmnopqrstuvwxyz0123456789›;‹hf_abcdefghijklmnopqrstuvwxyz›',
    'jwt ‹eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U› end',
    '-----BEGIN RSA PRIVATE KEY-----‹\nMIIEpAIBAAKCAQEA\nabc+/=\n›-----END RSA PRIVATE KEY-----\n',
    '{"key_pem":"-----BEGIN PRIVATE KEY-----‹\\nMIIEvQIBADANBgkqhkiG9w0B\\n›-----END PRIVATE KEY-----\\n"}',
    'é{"api_key":"‹ключ›"}漢',
    '"password":"‹cut at the end of the chu›',
    '[default]\naws_access_key_id = ‹AKIAIOSFODNN7EXAMPLE›\naws_secret_access_key = ‹wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY›\nregion = us-east-1\n',
    '{"text":"aws_secret_access_key = ‹wJalrXUtnFEMI/K7MDENG›\\nregion = x"}',
    'database:\n  user: me\n  password: ‹hunter2-hunter2›\n  name: stays\n',
    `curl -u me:‹hunter2› --proxy-user 'you:‹hunter3›' https://h.test; docker run -u 1000:1000 x`,
    '{"cmd":"curl --user=me:‹hunter2› h.test"}',
    'machine api.test login me password ‹hunter2›\n',
    'POST https://hooks.slack.com/services/‹T00000000/B00000000/abcdefghijkl› now',
    '‹ya29.a0AfH6SMBabcdefgh-ijkl› ‹GOCSPX-abcdefghijklmnopqrst› ‹1//0abcdefghijklmnopqrstuvwxyz›',
    '‹sk_live_abcdefghijklmnop1234› ‹whsec_abcdefghijklmnop1234› ‹SG.abcdefghijklmnop12.abcdefghijklmnop12› ‹pplx-abcdefghijklmnopqrstu›',
    '‹pypi-AgEIcHlwaS5vcmcCJDabcdefghijklmnopq› ‹dop_v1_abcdefghijklmnopqrstuvwxyz0123› ‹r8_abcdefghijklmnopqrstuvwxyz› ‹AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQ›',
  ])('%#', (body) => expectMasked('body', body));

  test.each([
    '{"type":"text_delta","text":"hello","max_tokens":4096,"usage":{"input_tokens":12,"cache_read_input_tokens":3}}',
    '{"token":12,"secret":null,"password":true,"api_key":""}',
    'a task-list-with-a-long-name, desk-and-chair-in-the-room, risk-assessment-for-everybody',
    'interface User { password: string; token: Token }',
    '{"tokens":["a"],"secretary":"Bob","keyboard":"qwerty","monkey":"x"}',
    'PWD=/home/me PATH=/usr/bin',
    'The Basic idea; a bearer of news',
    'token = getToken(source)\nsecret: string\npassword: required field\nconst token = next;\n',
    'see https://slack.com/services/ and hooks.slack.com, chapter 1//0 of the books. task_test',
  ])('nothing in %#', (body) => expect(locateSecrets('body', Buffer.from(body))).toEqual([]));
});

/** What a program, a shell, JSON and a URL write before a key. */
const ESCAPES = [
  ...TEXT_ESCAPES, ...TEXT_ESCAPES.map(inJson), ...TEXT_ESCAPES.map((escape) => inJson(inJson(escape))), ...PERCENT_ESCAPES,
  '\\x22', '\\u0027', '\\/', '\\x1b[1;31m', '\\e[0m', '\\033[36m', '%1B%5B31m', '=3D', '&quot;', '\u001b[01;31m\u001b[K',
];

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

describe('a string of protobuf', () => {
  test.each(SECRETS.filter(({ kind }) => kind !== 'named'))('is known by its shape whatever its length looks like: $text', ({ text }) => {
    for (let length = text.length; length < 128; length++) {
      const key = text.padEnd(length, 'Ab3Cd5');
      const head = Buffer.from([0x08, 0x01, 0x0a, length]);
      const bytes = Buffer.concat([head, Buffer.from(key), Buffer.from([0x52, 0x03]), Buffer.from('end')]);
      const ranges = locateSecrets('body', bytes);
      expect(Buffer.from(bytes).fill('*', ranges[0]?.start, ranges[0]?.end).includes(key.slice(0, 12)), `${length} bytes`).toBe(false);
      // What is around it may be read as part of a key: the length of one of Stripe as the first letter of one of Groq, the tag of the next field as its last.
      expect(ranges[0]?.start).toBeGreaterThanOrEqual(head.length - 1);
      expect(ranges[0]?.start).toBeLessThanOrEqual(head.length);
      expect(ranges[0]?.end).toBeGreaterThanOrEqual(head.length + length);
      expect(ranges[0]?.end).toBeLessThanOrEqual(head.length + length + 1);
    }
  });

  test('is no key where the length does not reach', () => {
    expect(locateSecrets('body', Buffer.from('\0\x01\ntask-based-and-more-of-it'))).toEqual([]);
  });
});

describe('after an escape', () => {
  test.each(ESCAPES)('%j', (escape) => {
    for (const secret of SECRETS) {
      const marked = named(secret).replace(secret.text, `‹${secret.text}›`);
      expectMasked('body', `$ cat it${escape}${marked}\\n`);
      expectMasked('body', `{"content":"a b${escape}${marked}"}`);
    }
    expectMasked('body', `x${escape}Bearer ‹abcd-efgh-1234›`);
    expectMasked('body', `x${escape}Basic ‹dXNlcjpodW50ZXIy›\\n`);
    expectMasked('body', `x${escape}AWS_SECRET_ACCESS_KEY=‹wJalrXUtnFEMI/K7MDENG›\\n`);
    expectMasked('body', `x${escape}login me password ‹hunter2›\\n`);
  });

  test.each(['\n', '\\n', '\\\\n', '\\t', '\\"', '\\u0022', '%20', '\u001b[1m', '\\u001b[1m'])('an option after %j', (escape) => {
    expectMasked('body', `x${escape}--api-key ‹abc› y`);
    expectMasked('body', `x${escape}-u me:‹hunter2› y`);
  });

  test.each(['\\u0026', '%26', '%3F', '&amp;'])('a parameter after %s', (escape) => expectMasked('body', `https://h.test/?a=1${escape}key=‹abcdef›&b=2`));

  test.each(['desk-lamp-with-a-long-name', 'task-list-with-a-long-name', '[desk-lamp-with-a-long-name]', 'a[1]task-list-with-a-long-name', '\\ task-list-with-a-long-name'])(
    'nothing in %j', (text) => expect(locateSecrets('body', Buffer.from(text))).toEqual([]),
  );
});

describe('the operator', () => {
  const exec = (...argv: string[]): Event =>
    eventOf('process', { ...(everySource()[1]?.data as ExecData), argv });
  test.each<[string[], string[]]>([
    [['agent', '--api-key', 'abc', 'file'], ['agent', '--api-key', '***', 'file']],
    [['agent', '--token=abc', '--max-tokens', '10'], ['agent', '--token=***', '--max-tokens', '10']],
    [['env', 'ANTHROPIC_API_KEY=abc', 'node'], ['env', 'ANTHROPIC_API_KEY=***', 'node']],
    [['curl', '-H', 'x-api-key: abc', 'https://u:pw@h.test/?key=abc'], ['curl', '-H', 'x-api-key: ***', 'https://u:**@h.test/?key=***']],
    [['curl', '--header', 'X-My-Token: abc'], ['curl', '--header', 'X-My-Token: ***']],
    [['curl', '-u', 'me:secret'], ['curl', '-u', 'me:******']],
    [['curl', '-b', 'sid=abc; a=b', '-b', 'cookies.txt'], ['curl', '-b', 'sid=********', '-b', 'cookies.txt']],
    [['sh', '-c', `K=${KEY} run`], ['sh', '-c', `K=${'*'.repeat(KEY.length)} run`]],
    [['curl', '-ume:secret', '-sSu', 'me:secret', '--oauth2-bearer', 'abc'], ['curl', '-ume:******', '-sSu', 'me:******', '--oauth2-bearer', '***']],
    [['sudo', '/usr/bin/mysql', '-uroot', '-pabc', '-p', 'table'], ['sudo', '/usr/bin/mysql', '-uroot', '-p***', '-p', 'table']],
    [['sshpass', '-p', 'abc', 'ssh', '-p', '22'], ['sshpass', '-p', '***', 'ssh', '-p', '**']],
    [['openssl', 'rsa', '-passin', 'pass:abc', '-passout', 'file:x'], ['openssl', 'rsa', '-passin', 'pass:***', '-passout', 'file:x']],
    [['cp', '-pr', 'a', 'b', '-unit:5'], ['cp', '-pr', 'a', 'b', '-unit:5']], [['ssh', '-p', '22'], ['ssh', '-p', '22']],
    [['docker', 'login', '--password-stdin'], ['docker', 'login', '--password-stdin']],
  ])('argv %j', async (argv, wanted) => {
    const counters = createRedactCounters();
    const [event] = await run([exec(...argv)], { counters });
    expect((event?.data as ExecData | undefined)?.argv).toEqual(wanted);
    const [again] = await run([event as Event], { counters });
    expect((again?.data as ExecData | undefined)?.argv).toEqual(wanted);
    expect(counters.get('masked_events')).toBe(JSON.stringify(argv) === JSON.stringify(wanted) ? 0 : 1);
  });

  test('stdio bytes are masked in a copy, and handed on untouched when there is nothing', async () => {
    const secret = stdioEvent(chunk(Buffer.concat([Buffer.of(0xff, 0), Buffer.from(`key ${KEY}\n`)])));
    const before = Buffer.from(secret.data.payload);
    const clean = stdioEvent(chunk(Buffer.from('nothing here\n')));
    const [first, second] = await run([secret, clean]);
    expect(Buffer.from(secret.data.payload)).toEqual(before);
    expect(Buffer.from((first as typeof secret).data.payload)).toEqual(Buffer.concat([Buffer.of(0xff, 0), Buffer.from(`key ${'*'.repeat(KEY.length)}\n`)]));
    expect(second).toBe(clean);
  });

  test('lines of a shell are masked', async () => {
    const [secret, clean] = await run([eventOf('readline', { line: `export API_KEY=${KEY}`, truncated: false }), eventOf('readline', { line: 'ls -l', truncated: false })]);
    expect([secret?.data, clean?.data]).toEqual([{ line: `export API_KEY=${'*'.repeat(KEY.length)}`, truncated: false }, { line: 'ls -l', truncated: false }]);
  });

  test('masked once, nothing is found again: not in bytes, not in the counters', async () => {
    const counters = createRedactCounters();
    const once = await run([stdioEvent(chunk(Buffer.from(`{"api_key":"${KEY}"} Authorization: Bearer abcdefghij\n`)))], { counters });
    const count = counters.get('masked_secrets');
    const twice = await run(once, { counters });
    expect(twice[0]).toBe(once[0]);
    expect(counters.get('masked_secrets')).toBe(count);
  });

  test('exchanges and streams of a foreign capture are masked when asked', async () => {
    const http = eventOf('http', {
      ...httpData(), url: 'https://h.test/?key=abc', request_header_list: [['X-Api-Key', 'abcdef']], request_headers: { 'x-api-key': ['abcdef'] },
      request_body: `{"k":"${KEY}"}`, response_body: Buffer.from(`\xff ${KEY}`, 'latin1').toString('base64'), response_body_encoding: 'base64', redacted: 0,
    } as const);
    const sse = eventOf('sse', { ...(everySource().find(({ source }) => source === 'sse')?.data as never as object), url: 'https://h.test/?key=abc', data: KEY });
    const text = JSON.stringify(await run([http, sse as Event], { derived: true }), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    expect(text).not.toContain(KEY);
    expect(text).not.toContain('abcdef');
    expect(text).not.toContain('key=abc');
    expect(text).not.toContain(Buffer.from(`\xff ${KEY}`, 'latin1').toString('base64'));
  });

  test('switched off, every event passes as it is', async () => {
    const events = everySource();
    expect(await run(events, { enabled: false })).toEqual(events);
  });
});

describe('names of secrets', () => {
  const key = Buffer.alloc(32, 7);
  const fingerprint = createFingerprint(key);
  const locate = createSecretLocator(fingerprint);
  const namesIn = (part: 'head' | 'body', text: string): readonly string[] => locate(part, Buffer.from(text)).flatMap(({ secrets = [] }) => secrets);

  test('are the same wherever one key stands, and tell its kind', () => {
    const name = `anthropic:${fingerprint(Buffer.from(KEY))}`;
    expect(name).toMatch(/^anthropic:[0-9a-f]{12}$/);
    for (const head of [`x-api-key: ${KEY}`, `Authorization: Bearer ${KEY}`, `Cookie: a=1; k=${KEY}`]) expect(namesIn('head', `GET / HTTP/1.1\r\n${head}\r\n\r\n`)).toEqual([name]);
    for (const body of [`{"api_key":"${KEY}"}`, `use ${KEY} now`, `ANTHROPIC_API_KEY=${KEY}\n`, `https://h.test/?key=${KEY}`]) expect(namesIn('body', body)).toEqual([name]);
  });

  test('differ between keys, and between runs', () => {
    const [other] = namesIn('body', `${KEY}x`);
    expect(other).not.toBe(namesIn('body', KEY)[0]);
    expect(createFingerprint()(Buffer.from(KEY))).not.toBe(createFingerprint()(Buffer.from(KEY)));
  });

  test.each([
    ['head', 'GET / HTTP/1.1\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n', 'basic'], ['body', 'https://me:hunter2@h.test/', 'password'],
    ['body', '{"password":"hunter2"}', 'named'], ['body', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5', 'jwt'],
    ['body', 'https://hooks.slack.com/services/T00000000/B00000000/abcdefghijkl', 'slack'],
  ] as const)('%s %s: %s', (part, text, kind) => expect(namesIn(part, text).map((name) => name.split(':')[0])).toEqual([kind]));

  test('a key in lines is the same in JSON as in a file', () => {
    const lines = '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nabc+/=\n-----END PRIVATE KEY-----\n';
    const [name] = namesIn('body', lines);
    expect(name).toMatch(/^private_key:/);
    expect(namesIn('body', JSON.stringify({ key_pem: lines }))).toEqual([name]);
  });

  test('are not given to what is masked, nor to what is too short', () => {
    expect(namesIn('head', 'GET / HTTP/1.1\r\nAuthorization: Bearer ****\r\nX-Api-Key: ******o-\r\nX-Token: abc\r\n\r\n')).toEqual([]);
  });

  test('are in the event, each once, and counted beyond the limit', async () => {
    const many = Array.from({ length: LIMITS.eventSecrets + 2 }, (_, number) => `API_KEY=secret${number} API_KEY=secret${number}`).join(' ');
    const counters = createRedactCounters();
    const [one, full, clean] = await run([
      stdioEvent(chunk(Buffer.from(`${KEY} ${KEY}\n`))), stdioEvent(chunk(Buffer.from(`${many}\n`))), stdioEvent(chunk(Buffer.from('x\n'))),
    ], { counters, fingerprint });
    expect((one as StdioEvent).data.secrets).toEqual([`anthropic:${fingerprint(Buffer.from(KEY))}`]);
    expect((full as StdioEvent).data.secrets).toHaveLength(LIMITS.eventSecrets);
    expect(counters.get('secrets_unlisted')).toBe(2);
    expect(clean?.data).not.toHaveProperty('secrets');
    expect(parseLine(toLine(one as Event)).data).toEqual((one as Event).data);
  });
});

describe('any input', () => {
  const fragments = [
    '"', '\\', "'", ':', '=', '&', '?', ' ', '\n', '\r\n', '*', '://', '@', '-', '--', 'api_key', 'token', 'password', 'Authorization: ',
    'Bearer ', 'sk-', 'abcdefghijklmnopqrstuvwxyz', 'AKIA', 'IOSFODNN7EXAMPLE', 'eyJhbGciOi', '.', 'ghp_', 'KEY=', '-----BEGIN PRIVATE KEY-----',
    '-----END', 'Cookie: ', '{', '}', ',', 'x', '\0', 'é',
  ];
  test('masking finds nothing more the second time', () => {
    let seed = 12_345;
    const random = (below: number): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff) % below;
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: 3 + random(25) }, () => fragments[random(fragments.length)]).join('');
      for (const part of ['head', 'body'] as const) {
        const once = masked(part, text);
        expect(masked(part, once), JSON.stringify(text)).toBe(once);
        const ranges = locateSecrets(part, Buffer.from(text));
        for (const [index, { start, end }] of ranges.entries()) {
          expect(start).toBeLessThan(end);
          expect(start).toBeGreaterThan(ranges[index - 1]?.end ?? -1);
        }
      }
    }
  });

  test.each([
    'a', ' ', '"', '\\', '-', ';', '&', '?a', '--a', '://', '://a:', 'token', 'token:', 'token="', 'token:\\"', '"token":"', 'Bearer ', 'sk-a',
    'eyJ', 'eyJa.eyJ', '-----BEGIN PRIVATE KEY-----', '-----BEGIN ', 'A_KEY=', ' -u a:', 'authorization: a ', 'cookie: ', '&key=', ':\\', '=\t ', 'AKIA',
  ])('%j repeated to four megabytes is scanned in linear time', (unit) => {
    // Anything quadratic takes minutes at this size and so meets the time limit of a test, on a busy machine and on a fast one.
    const text = Buffer.from(unit.repeat(Math.ceil(4_000_000 / unit.length)));
    expect(locateSecrets('body', text).length).toBeLessThanOrEqual(text.length);
  });
});
