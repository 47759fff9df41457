/** Secrets that are told by where they stand: in JSON, forms, XML, URLs, headers and commands. */
import { expect, test } from 'vitest';
import { createSecretLocator, locateSecrets } from '../../analyzers/redact.ts';
import { createFingerprint } from '../../src/fingerprint.ts';
import { expectMasked } from '../helpers/masked.ts';
import { KEY_BLOCK } from '../helpers/secrets.ts';

const NAMES = [
  'apiKey', 'SecretAccessKey', 'api_key_id', 'client_secret', 'SessionToken', 'passwd', 'password', 'passphrase', 'credential', 'credentials', 'authorization', 'cookie', 'cookie2', 'db_pass', 'my_auth',
];
test.each(NAMES)('%s of a form with brackets, of a part of one', (name) => {
  expectMasked('body', `user[${name}]=‹abc›&x[a][${name}]=‹def›&b=1`);
  expectMasked('body', `a=1&user%5B${name}%5D=‹abc›&b=1`);
  expectMasked('body', `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n‹ab c&d›\r\n--b\r\nContent-Disposition: form-data; name="user[${name}]"\r\nContent-Type: text/plain\r\n\r\n‹e›\r\n--b--\r\n`);
});

test.each(['SecretAccessKey', 'api_key_id', 'SessionToken', 'client_secret', 'Password', 'passwd', 'credential'])('%s of an element of XML', (name) => {
  expectMasked('body', `<r><${name}>‹wJalr/XUtn&amp;FEMI›</${name}><ns:${name}>\n  ‹abc›\n  </ns:${name}></r>`);
  expectMasked('body', `"<${name}>‹abc›<\\/${name}>"`);
});

test.each([
  '{\n  "client_secret":\n    "‹abc›",\n  "a": "b"\n}', '{"password":‹12345678›,"a":1}', '{"passwords":["‹abc›", "‹d e›"],"a":"b"}', '{"passwords": [\n  "‹abc›",\n  "‹def›"\n]}',
  '{"tokens":["‹abcdefgh-12345678›","‹abcdefgh-12345679›"]}', '{"headers":{"Authorization":["Bearer ‹abc›"],"X-Api-Key":["‹a›","‹b›"],"Accept":["c"]}}',
  '{"a":"{\\"X-Api-Key\\":[\\"‹a›\\",\\"‹b›\\"],\\"Accept\\":[\\"c\\"]}"}', '{"token":{"value":"‹correct-horse-battery›","type":"x"}}', '{"api_key": { "value" : "‹abc›" }}',
  'https://‹ghp_abcdefghijklmnopqrstuvwxyz0123456789›@github.com/a', 'https://‹0123456789abcdef0123456789abcdef›@o1.ingest.test/2', 'd=‹xoxd-abc%2Bdef%2Fghijklm%3D›; x=1',
  'sh -c "curl -sS -ume:‹hunter2› https://h.test"', 'curl -sSu me:‹hunter2› h.test; cp -u a b', 'curl -X POST h.test -u "me:‹hunter2›"', '{"cmd":"mysql -uroot -p‹hunter2› -h db"}',
  'mysqldump --all -p‹hunter2› | gzip', "sshpass -p '‹hunter2›' ssh h", 'openssl rsa -in a -passin pass:‹hunter2› -passout "pass:‹hunter3›"', 'curl --oauth2-bearer ‹abc› h.test',
])('in text: %s', (text) => expectMasked('body', text));

test.each(['Authentication', 'X-Hub-Signature-256', 'X-Google-Apps-Key', 'X-Goog-Api-Key', 'x-key', 'x-api-key2'])('in the header %s', (name) => expectMasked('head', `GET / HTTP/1.1\r\n${name}: ‹abc›\r\n\r\n`));

test.each(['X-Cache-Key', 'X-Idempotency-Key', 'X-Request-Key', 'Proxy-Authentication-Info', 'Accept-Signature-Input', 'Sec-WebSocket-Key'])('not in the header %s', (name) => {
  expect(locateSecrets('head', Buffer.from(`GET / HTTP/1.1\r\n${name}: abc\r\n\r\n`))).toEqual([]);
});

test.each([
  '{"tokens":["international","The"," responsibility"],"logprobs":[1,2]}', '{"token":{"type":"Keyword","value":"function"}}', '{"token":{"value":"function"}}', '{"token":12,"tokens":12,"passwords":[],"credentials":["env","file"]}',
  'mysql -u <user> -p<password> <database>', 'Promise<Token>(null) and <token> or "<api_key>"', '<label for="password">Password</label>', '<Password>Enter your password</Password>',
  'let counts[token]=1; freq[token]=freq[token]+1', 'mkdir -p a; mysql -p shop', 'ssh -p 22 h', 'https://a-rather-long-user-name-of-letters@h.test/', 'https://user123@h.test', 'curl -o x https://h.test/-u:y',
  'name="password" type="password"', 'openssl rsa -passin file:x -passout stdin',
])('nothing in %s', (text) => expect(locateSecrets('body', Buffer.from(text))).toEqual([]));

test('a key block in a URL or a form is masked, and told by the name that it has in a file', () => {
  const fingerprint = createFingerprint(Buffer.alloc(32, 7));
  const locate = createSecretLocator(fingerprint);
  const namesIn = (text: string): readonly string[] => locate('body', Buffer.from(text)).flatMap(({ secrets = [] }) => secrets);
  const encoded = encodeURIComponent(KEY_BLOCK);
  for (const text of [encoded, encoded.replaceAll('%20', '+')]) {
    const marked = `a=1&k=${text.replace(/(KEY-----)(.*)(-----END)/, '$1‹$2›$3')}&b=2`;
    expectMasked('body', marked);
    expect(namesIn(`k=${text}`)).toEqual(namesIn(KEY_BLOCK));
  }
});

test.each(['"passwords":["', '"token":[', '"token":\n', '"token":{"value":', '<token>', '<token', 'user[token]=', '%5Btoken', 'name="password"\r\n\r\n', 'curl ', 'curl -u', 'mysql ', ' -u', '://a1', '-----BEGIN+PRIVATE%20', 'xoxd-%2F', '[token]'])(
  '%j repeated to four megabytes is scanned in linear time', (unit) => {
    // Anything quadratic takes minutes at this size and so meets the time limit of a test, on a busy machine and on a fast one.
    const text = Buffer.from(unit.repeat(Math.ceil(4_000_000 / unit.length)));
    expect(locateSecrets('body', text).length).toBeLessThanOrEqual(text.length);
  },
);
