import { describe, expect, it } from 'vitest';
import { assembleReply } from '../../ui/src/lib/assembled.ts';
import { decodeBase64, flatJson, hexLines, previewJson, readBody, splitStream } from '../../ui/src/lib/body.ts';
import { toCurl } from '../../ui/src/lib/curl.ts';
import { commandLine, formatBytes, formatDuration, plural, shellQuote } from '../../ui/src/lib/format.ts';
import { KEY_BINDINGS, commandOf } from '../../ui/src/lib/keys.ts';
import { interim, oddities, trailers } from '../../ui/src/lib/read.ts';
import { programLabel } from '../../ui/src/lib/program.ts';
import { EMPTY_STATE, type UrlState, formatUrl, parseUrl } from '../../ui/src/lib/url-state.ts';

describe('formatting', () => {
  it.each([
    [0, '0 ns'], [999, '999 ns'], [1500, '1.5 µs'], [4.21e6, '4.21 ms'], [999.6e6, '1 s'], [12.84e9, '12.8 s'], [59.96e9, '1m 00s'], [1049e9, '17m 29s'], [11_040e9, '3h 04m'], [-5e6, '-5 ms'],
  ])('%d ns is %s', (ns, expected) => expect(formatDuration(ns)).toBe(expected));

  it.each([[0, '0 B'], [1023, '1023 B'], [1024, '1 KiB'], [1536, '1.5 KiB'], [5 * 1024 ** 3, '5 GiB']])('%d bytes are %s', (bytes, expected) => expect(formatBytes(bytes)).toBe(expected));

  it('counts in words', () => {
    expect([plural(1, 'event'), plural(2, 'event'), plural(2, 'process')]).toEqual(['1 event', '2 events', '2 processes']);
  });

  it('quotes for a shell', () => {
    expect([shellQuote('a-b'), shellQuote(''), shellQuote("it's")]).toEqual(['a-b', "''", "'it'\\''s'"]);
    expect(commandLine(['sh', '-c', 'a | b'])).toBe("sh -c 'a | b'");
  });
});

describe('an exchange', () => {
  it('shows what came before and after its messages, and what is odd about them', () => {
    const data = {
      flags: ['request.lengths-differ'], interim: [{ status: 103, headers: { link: ['</a>', '</b>'] }, since_request_ms: 2 }],
      request_trailers: [], response_trailers: [['Digest', 'x'], ['digest', 'y']],
    };
    expect(oddities(data)).toEqual(['request: lengths differ']);
    expect(interim(data)).toEqual([{ status: 103, headers: [['link', '</a>'], ['link', '</b>']], sinceRequestMs: 2 }]);
    expect([trailers(data, 'request'), trailers(data, 'response')]).toEqual([[], [['Digest', 'x'], ['digest', 'y']]]);
  });

  it('of an older capture has none of it', () => {
    expect([oddities({}), interim({}), trailers({}, 'request')]).toEqual([[], [], []]);
  });
});

describe('the label of a program', () => {
  it.each([
    [['/usr/bin/node', '/long/path/agent.mjs', 'x'], 'node agent.mjs x'],
    [['node', '--import', '/x/hook.mjs', '--no-warnings', '/x/main.mjs', '--fast'], 'node main.mjs --fast'],
    [['node', '-e', 'run()'], 'node -e run()'],
    [['/usr/bin/python3.11', '-u', '-m', 'http.server', '8000'], 'python3.11 -m http.server 8000'],
    [['/bin/bash', '-c', 'npm test -- checkout'], 'bash -c npm test -- checkout'],
    [['-bash'], 'bash'],
    [['/usr/bin/env', 'node', '/opt/x/agent.mjs'], 'node agent.mjs'],
    [['env', 'A=1', 'B=2', '/usr/bin/python3', '/x/tool.py'], 'python3 tool.py'],
    [['env', '-i', 'sh'], 'env -i sh'],
    [['env', 'A=1'], 'env A=1'],
    [['claude', '--model', 'opus', 'fix the test'], 'claude --model opus fix the test'],
    [['cat', '/etc/hosts'], 'cat /etc/hosts'],
    [['cat', '/home/somebody/projects/shop/src/cart.ts'], 'cat …/src/cart.ts'],
    [['nginx: worker process'], 'nginx: worker process'],
    [[], 'comm'],
  ])('%j', (argv, expected) => {
    const { name, rest } = programLabel(argv, 'comm');
    expect(`${name} ${rest}`.trim()).toBe(expected);
  });
});

describe('address', () => {
  const states: UrlState[] = [
    EMPTY_STATE,
    { session: 'h.b.1', from: '100', to: '200', selection: { kind: 'event', id: 'a:b&c' }, query: 'x y & z', sources: 'http,sse' },
    { ...EMPTY_STATE, selection: { kind: 'process', key: 'host/boot/1?#' } },
  ];
  it.each(states.map((state) => [state]))('there and back: %o', (state) => expect(parseUrl(formatUrl(state))).toEqual(state));

  it('drops a window that makes no sense', () => {
    for (const search of ['?from=5&to=5', '?from=9&to=1', '?from=x&to=1', '?from=5']) expect(parseUrl(search)).toMatchObject({ from: null, to: null });
  });
});

describe('bodies', () => {
  it('reads JSON by its look or its type, streams by their type, the rest as text or bytes', () => {
    expect(readBody('{"a":1}', 'utf8', '')).toMatchObject({ kind: 'json', value: { a: 1 } });
    expect(readBody('{"a":', 'utf8', 'application/json')).toMatchObject({ kind: 'text' });
    expect(readBody('data: x\n\n', 'utf8', 'text/event-stream; charset=utf-8')).toMatchObject({ kind: 'sse', events: [{ event: 'message', data: 'x' }] });
    expect(readBody('AAEC', 'base64', '')).toMatchObject({ kind: 'bytes', bytes: new Uint8Array([0, 1, 2]) });
    expect(readBody(null, 'utf8', '')).toEqual({ kind: 'none' });
  });

  it('splits streams by the standard', () => {
    const text = ': note\r\nevent: a\r\ndata: 1\r\ndata:2\r\n\r\nid: 7\n\ndata\n\ndata: cut';
    expect(splitStream(text)).toEqual([{ event: 'a', data: '1\n2' }, { event: 'message', data: '' }, { event: 'message', data: 'cut' }]);
  });

  it('previews an object on one line', () => {
    expect(previewJson({ role: 'user', list: [1, 2], inner: { a: 1 } }, 90)).toBe('{role: "user", list: [2], inner: {…}}');
    expect(previewJson({ text: 'x'.repeat(200) }, 20)).toHaveLength(23);
  });

  it('lists the leaves of an object on one line, without saying of which type they are', () => {
    expect(flatJson({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi "x"' } }, 90)).toBe('index 0 · delta.text "Hi \\"x\\""');
    expect(flatJson({ type: 'ping' }, 90)).toBe('');
    expect(flatJson([1, null, { a: true }], 90)).toBe('0 1 · 1 null · 2.a true');
    expect(flatJson({ text: 'x'.repeat(200) }, 20)).toHaveLength(20);
  });

  it('shows bytes as hexadecimal and tolerates base64 that was cut', () => {
    expect(hexLines(new Uint8Array([0x41, 0, 0xff]), 100)).toEqual([`00000000  41 00 ff${' '.repeat(15)}  ${' '.repeat(23)}  A··`]);
    expect(decodeBase64('QUJDRA')).toEqual(new Uint8Array([0x41, 0x42, 0x43, 0x44]));
    expect(decodeBase64('QUJDR')).toEqual(new Uint8Array([0x41, 0x42, 0x43]));
  });
});

describe('assembled replies', () => {
  const event = (data: unknown) => ({ event: 'message', data: JSON.stringify(data) });

  it('joins text and tool input of an Anthropic stream', () => {
    expect(assembleReply([
      event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } }),
      event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } }),
      event({ type: 'content_block_start', index: 1, content_block: { type: 'tool_use', name: 'Bash' } }),
      event({ type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"a":1}' } }),
    ])).toEqual([{ kind: 'text', name: '', text: 'Hello' }, { kind: 'tool', name: 'Bash', text: '{"a":1}' }]);
  });

  it('joins the deltas of an OpenAI stream', () => {
    expect(assembleReply([event({ choices: [{ index: 0, delta: { content: 'a' } }] }), event({ choices: [{ index: 0, delta: { content: 'b' } }] }), { event: 'message', data: '[DONE]' }]))
      .toEqual([{ kind: 'text', name: '', text: 'ab' }]);
  });

  it('makes nothing of another stream', () => {
    expect(assembleReply([event({ tick: 1 }), { event: 'x', data: 'not json' }])).toBeNull();
  });
});

describe('curl', () => {
  it('repeats the request without what curl sets itself', () => {
    const command = toCurl({ method: 'POST', url: 'https://a.example/x?y=1', headers: [['Host', 'a.example'], ['X-A', "it's"]], body: '@file', bodyEncoding: 'utf8' });
    expect(command).toBe(`curl 'https://a.example/x?y=1' \\\n  -X POST \\\n  -H 'X-A: it'\\''s' \\\n  --data-raw @file`);
  });

  it('sends binary bodies through a pipe', () => {
    expect(toCurl({ method: 'PUT', url: 'http://b/', headers: [], body: 'AAE=', bodyEncoding: 'base64' })).toMatch(/^base64 -d <<<AAE= \| curl .*--data-binary @-$/s);
  });
});

describe('keys', () => {
  it('binds each key once, and none with a modifier', () => {
    const keys = KEY_BINDINGS.flatMap((binding) => binding.keys);
    expect(new Set(keys).size).toBe(keys.length);
    const press = { key: 'j', ctrlKey: false, metaKey: false, altKey: false };
    expect(commandOf(press)).toBe('next');
    expect(commandOf({ ...press, ctrlKey: true })).toBeNull();
    expect(commandOf({ ...press, key: 'F5' })).toBeNull();
  });
});
