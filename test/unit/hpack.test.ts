/** Header compression against the examples of RFC 7541 appendix C, with entries that were never seen, with secrets, and with any bytes. */
import { describe, expect, it } from 'vitest';
import { locateSecrets } from '../../analyzers/redact.ts';
import { decodeBlock } from '../../analyzers/http2/hpack.ts';
import { decodeHuffman, encodeHuffman } from '../../analyzers/http2/huffman.ts';
import { type Table, createTable, loseEntries } from '../../analyzers/http2/table.ts';
import { blockOf } from '../frames.ts';
import { generator } from '../helpers/random.ts';

function table({ whole = true, limit = 65_536, total = 1 << 20 } = {}): Table {
  return createTable(limit, { limit: total, used: 0 }, whole);
}

function decode(one: Table, hex: string): string[] | null {
  return decodeBlock(one, Buffer.from(hex.replaceAll(' ', ''), 'hex'), null)?.map(({ name, value }) => `${name}: ${value}`) ?? null;
}

describe('the examples of the specification', () => {
  it('requests with Huffman coding (C.4)', () => {
    const one = table();
    expect(decode(one, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')).toEqual([':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com']);
    expect(decode(one, '8286 84be 5886 a8eb 1064 9cbf')).toEqual(
      [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache']);
    expect(decode(one, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')).toEqual(
      [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value']);
    expect(one.bytes).toBe(164);
  });

  it('responses with eviction (C.6)', () => {
    const one = table();
    one.capacity = 256;
    expect(decode(one, '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3')).toEqual(
      [':status: 302', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', 'location: https://www.example.com']);
    expect(decode(one, '4883 640e ffc1 c0bf')).toEqual(
      [':status: 307', 'cache-control: private', 'date: Mon, 21 Oct 2013 20:13:21 GMT', 'location: https://www.example.com']);
    expect(one.bytes).toBe(222);
  });
});

describe('what was never seen', () => {
  it('is null, and what was added since is right', () => {
    const one = table({ whole: false });
    expect(decode(one, 'be')).toEqual(['null: null']);
    expect(decodeBlock(one, blockOf(['+x-a: 1', '#62', '#63', '#63: v']), null)).toEqual([
      { name: 'x-a', value: '1' }, { name: 'x-a', value: '1' }, { name: null, value: null }, { name: null, value: 'v' },
    ]);
    loseEntries(one);
    expect(decode(one, 'be')).toEqual(['null: null']);
  });

  it('ends where the sender empties the table', () => {
    const one = table({ whole: false });
    expect(decodeBlock(one, blockOf(['@0', '@4096', '+x-a: 1', '#62']), null)).toHaveLength(2);
    expect(decode(one, 'bf')).toBeNull();
  });

  it('begins where a bound of our own makes an entry go, and bounds hold', () => {
    for (const one of [table({ limit: 100 }), table({ total: 100 })]) {
      decodeBlock(one, blockOf(['+x-a: 1', '+x-b: 2', '+x-c: 3', '+x-d: 4']), null);
      expect(one.bytes).toBeLessThanOrEqual(100);
      expect(decodeBlock(one, blockOf(['#62', '#65']), null)).toEqual([{ name: 'x-d', value: '4' }, { name: null, value: null }]);
    }
  });

  it('makes no sense in a table that is whole', () => {
    expect(decode(table(), 'be')).toBeNull();
    expect(decode(table(), '80')).toBeNull();
  });
});

describe('secrets', () => {
  const KEY = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789';

  it.each([['plain', ''], ['Huffman coded', '~']])('%s are masked in field, table and bytes, and the masked bytes read the same', (_name, mark) => {
    const block = blockOf([`+${mark}authorization: Bearer ${KEY}`, `${mark}:path: /v1?api_key=${KEY}&page=2`, `+${mark}x-note: plain words`, '#62', '#63']);
    const masked = Buffer.from(block);
    const secrets = { locate: (bytes: Buffer) => locateSecrets('head', bytes), onMasked: (start: number, bytes: Buffer) => void masked.set(bytes, start) };
    const live = decodeBlock(table(), block, secrets);
    expect(JSON.stringify(live)).not.toContain('abcdef');
    expect(live?.[0]?.value).toMatch(/^Bearer \*{6}/);
    expect(live?.[1]?.value).toMatch(/^\/v1\?api_key=\*{6}.*&page=2$/);
    expect(live?.[2]).toEqual({ name: 'x-note', value: 'plain words' });
    expect(live?.slice(3)).toEqual([live?.[2], live?.[0]]);
    expect(masked).toHaveLength(block.length);
    expect(decodeBlock(table(), masked, null)).toEqual(live);
    const again = Buffer.from(masked);
    expect(decodeBlock(table(), masked, { ...secrets, onMasked: (start, bytes) => void again.set(bytes, start) })).toEqual(live);
    expect(again).toEqual(masked);
  });

  it('whose name is unknown are masked as a whole', () => {
    const block = blockOf(['#90: harmless or not']);
    const live = decodeBlock(table({ whole: false }), block, { locate: () => [], onMasked: () => {} });
    expect(live).toEqual([{ name: null, value: '*'.repeat(15) }]);
  });
});

describe('any bytes', () => {
  it('are decoded as they were coded', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = generator(seed);
      const text = Buffer.from(Array.from({ length: random(60) }, () => random(256)));
      expect(decodeHuffman(encodeHuffman(text))).toEqual(text);
    }
  });

  it('never throw and never pass the bounds', () => {
    const one = table({ limit: 500, total: 400 });
    for (let seed = 0; seed < 3000; seed++) {
      const random = generator(seed);
      decodeBlock(one, Buffer.from(Array.from({ length: random(40) }, () => random(256))), { locate: () => [{ start: random(9), end: random(30) }], onMasked: () => {} });
      expect(one.bytes).toBeLessThanOrEqual(400);
      expect(one.budget.used).toBe(one.bytes);
    }
  });

  it('with a wrong end of the Huffman code are none', () => {
    expect(decodeHuffman(Buffer.from('ffffffff', 'hex'))).toBeNull();
    expect(decodeHuffman(Buffer.from('1f00', 'hex'))).toBeNull();
  });
});
