/** Names of protocols by the first bytes that their programs send. */
import { describe, expect, test } from 'vitest';
import { createHttpCounters } from '../../analyzers/http.ts';
import { type Spoken, spokenIn } from '../../src/spoken.ts';
import { analyze, chunk } from '../cases.ts';

const NOTHING = '';
/** As they pass the wire; `read` and `write` are those of the client. */
const GREETINGS: readonly (readonly [name: string, write: string, read: string, speaks: Spoken | null])[] = [
  ['psql, without TLS', '\0\0\0\x54\0\x03\0\0user\0me\0', 'R\0\0\0\x08\0\0\0\0', 'postgresql'],
  ['psql, protocol 3.2', '\0\0\0\x54\0\x03\0\x02user\0me\0', 'R\0\0\0\x08\0\0\0\0', 'postgresql'],
  ['psql asks for TLS', '\0\0\0\x08\x04\xd2\x16\x2f', 'N', 'postgresql'],
  ['psql asks for GSSAPI', '\0\0\0\x08\x04\xd2\x16\x30', 'N', 'postgresql'],
  ['psql cancels', '\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02', NOTHING, 'postgresql'],
  ['MySQL 8: the server speaks first', '\x20\0\0\x01\x85\xae\xff\x19', '\x4a\0\0\0\x0a8.0.36\0', 'mysql'],
  ['MySQL 5.7, and the client has not answered', NOTHING, '\x4a\0\0\0\x0a5.7.44\0', 'mysql'],
  ['MariaDB 11', NOTHING, '\x6e\0\0\0\x0a11.4.2-MariaDB\0', 'mysql'],
  ['MariaDB in a disguise', NOTHING, '\x6e\0\0\0\x0a5.5.5-10.6.18-MariaDB\0', 'mysql'],
  ['MySQL refuses: too many connections', NOTHING, '\x17\0\0\0\xff\x10\x04Too many', 'mysql'],
  ['redis-cli', '*2\r\n$7\r\nCOMMAND\r\n', '*241\r\n*10\r\n', 'redis'],
  ['a Redis client says hello', '*1\r\n$4\r\nPING\r\n', '+PONG\r\n', 'redis'],
  ['Redis by telnet', 'PING\r\n', '+PONG\r\n', 'redis'],
  ['Redis by nc, in small letters', 'set a b\n', '+OK\r\n', 'redis'],
  ['Redis has no such key', 'GET nothing\r\n', '$-1\r\n', 'redis'],
  ['Redis counts to a large number', 'INCR a\r\n', ':1234567890\r\n', 'redis'],
  ['Redis knows no such command', 'PUBLISH a\r\n', "-ERR wrong number of arguments for 'publish' command\r\n", 'redis'],
  ['Redis lists', 'KEYS *\r\n', '*0\r\n', 'redis'],
  ['Redis wants a password', 'INFO\r\n', '-NOAUTH Authentication required.\r\n', 'redis'],
  ['DNS over TCP', '\0\x1d\x12\x34\x01\0\0\x01', '\0\x2d\x12\x34\x81\x80\0\x01', 'dns'],
  ['DNS over TCP with EDNS', '\0\x28\xbe\xef\x01\x20\0\x01', NOTHING, 'dns'],
  ['HTTP', 'GET / HTTP/1.1\r\n', 'HTTP/1.1 200 OK', null],
  ['TLS', '\x16\x03\x01\x02\0\x01\0\x01', '\x16\x03\x03\0\x7a\x02\0\0', null],
  ['SMTP', 'EHLO me\r\n', '220 mail\r\n', null],
  ['SSH', 'SSH-2.0-O', 'SSH-2.0-O', null],
  ['memcached', 'get a\r\n', 'END\r\n', null],
  ['memcached stores', 'set a 0 0 1\r\nb\r\n', 'STORED\r\n', null],
  ['HTTP without a version', 'GET /\r\n', '<html>', null],
  ['IRC', 'PING me\r\n', ':irc.test PONG me\r\n', null],
  ['POP3', 'AUTH PLAIN\r\n', '+OK ready\r\n', null],
  ['a command of Redis without its answer', 'GET a\r\n', NOTHING, null],
  ['an answer of Redis without its command', 'what\r\n', '+OK\r\n', null],
  ['PING to somebody else', 'PING\r\n', '500 what', null],
  ['text with a star', '* a list\r\n', NOTHING, null],
  ['zeros', '\0'.repeat(16), '\0'.repeat(16), null],
  ['nothing', NOTHING, NOTHING, null],
];

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('first bytes tell', () => {
  test.each(GREETINGS)('%s', (_name, write, read, speaks) => {
    const [client, server] = [bytes(write), bytes(read)];
    expect(spokenIn({ read: server, write: client })).toBe(speaks);
    expect(spokenIn({ read: client, write: server }), 'as the server sees it').toBe(speaks);
    expect(spokenIn({ read: server.subarray(0, 8), write: client.subarray(0, 8) }), 'by what the kernel keeps').toBe(speaks);
  });

  test('DNS in datagrams', () => {
    const query = bytes('\x12\x34\x01\0\0\x01\0\0');
    const answer = bytes('\x12\x34\x81\x80\0\x01\0\x02');
    expect(spokenIn({ read: answer, write: query, isDatagram: true })).toBe('dns');
    expect(spokenIn({ read: query, write: answer, isDatagram: true })).toBe('dns');
    expect(spokenIn({ read: bytes(''), write: bytes('\x40\0\0\x01\0\0\0\0'), isDatagram: true })).toBe(null);
    expect(spokenIn({ read: answer, write: query })).toBe(null);
  });

  test('nothing, of bytes at random but once in a thousand times, and never throw', () => {
    let seed = 11;
    const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff) >>> 8;
    let named = 0;
    for (let round = 0; round < 20_000; round++) {
      const side = (): Buffer => Buffer.from(Array.from({ length: random() % 12 }, () => random() & 0xff));
      if (spokenIn({ read: side(), write: side(), isDatagram: round % 2 === 0 }) !== null) named++;
    }
    expect(named).toBeLessThan(20);
  });
});

describe('inside TLS', () => {
  function chunksOf(text: string, direction: 'read' | 'write', size: number, from = 0): ReturnType<typeof chunk>[] {
    const all = bytes(text);
    return Array.from({ length: Math.ceil(all.length / size) }, (_, index) => chunk({
      direction, bytes: all.subarray(index * size, (index + 1) * size), position: from + index * size, total: all.length, offset: index * size,
    }));
  }

  const named = (text: string, direction: 'read' | 'write', size: number) => {
    return analyze(chunksOf(text, direction, size)).order.flatMap((event) => (event.source === 'net' && event.data.event === 'PROTOCOL' ? [event.data] : []));
  };

  test.each([
    ['postgresql', '\0\0\0\x54\0\x03\0\0user\0me\0database\0x\0', 'write'], ['redis', '*1\r\n$4\r\nPING\r\n', 'write'],
    ['dns', '\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0', 'write'],
  ] as const)('%s is told once, with its connection', (speaks, text, direction) => {
    expect(named(text, direction, text.length)).toEqual([{ event: 'PROTOCOL', connection: 'c1', endpoint: null, tls: true, speaks }]);
  });

  test.each(['PING\r\n|+PONG\r\n', 'SET a b\r\n|+OK\r\n', 'set a b\r\n|+OK\r\n', 'GET a\n|$-1\r\n'])('commands of Redis by hand, %j: told by their answer, at any split', (talk) => {
    const [asked = '', answered = ''] = talk.split('|');
    for (const role of ['client', 'server']) {
      for (const size of [1, 3, 100]) {
        const [first, second] = role === 'client' ? ['write', 'read'] as const : ['read', 'write'] as const;
        const events = [...chunksOf(asked, first, size), ...chunksOf(answered, second, size), ...chunksOf(asked, first, size, asked.length), ...chunksOf(answered, second, size, answered.length)];
        const counters = createHttpCounters();
        const { order } = analyze(events, { counters });
        const found = order.flatMap((event) => (event.source === 'net' && event.data.event === 'PROTOCOL' ? [event.data] : []));
        expect(found, `${role}, ${size}`).toEqual([{ event: 'PROTOCOL', connection: 'c1', endpoint: null, tls: true, speaks: 'redis' }]);
        expect(order.filter(({ source }) => source === 'http')).toEqual([]);
        expect(counters.get('opaque_unknown')).toBe(0);
      }
    }
  });

  test('a command whose answer is of something else has no name', () => {
    const counters = createHttpCounters();
    const { order } = analyze([...chunksOf('PING\r\n', 'write', 100), ...chunksOf('500 what is that, please\r\n', 'read', 100)], { counters });
    expect(order.filter(({ source }) => source === 'net')).toEqual([]);
    expect(counters.get('opaque_unknown')).toBe(1);
  });

  test('what is parsed, or not known, is not', () => {
    expect(named('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'write', 5)).toEqual([]);
    expect(named('EHLO me.test\r\nMAIL FROM:<a@b>\r\n', 'write', 100)).toEqual([]);
  });
});
