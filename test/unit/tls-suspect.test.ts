/** A place that was located wrongly is noticed by what passes there, and a right one is not suspected. */
import { describe, expect, test } from 'vitest';
import { beginsAsProtocol } from '../../src/decode/first-bytes.ts';
import type { ProbeMethod, TlsEvent } from '../../src/event.ts';
import type { TlsFile } from '../../src/runners/tls-files.ts';
import { createSuspicion } from '../../src/runners/tls-suspect.ts';
import { nanoseconds } from '../../src/time.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('bytes that can begin a connection', () => {
  test.each([
    ['an HTTP/1 request', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n')],
    ['an HTTP/1 reply', Buffer.from('HTTP/1.1 200 OK\r\n')],
    ['the HTTP/2 preface', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['an HTTP/2 SETTINGS frame', hex('000012 04 00 00000000 0003 00000064')],
    ['an HTTP/2 acknowledgement', hex('000000 04 01 00000000')],
    ['an HTTP/2 HEADERS frame', hex('00001d 01 04 00000001 88 5f 87')],
    ['an HTTP/2 DATA frame', hex('004000 00 00 00000003 1f8b')],
    ['a WebSocket text frame with a mask', hex('81 85 37fa213d 7f9f4d5158')],
    ['a WebSocket frame of a kilobyte', hex('82 7e 0400 0102')],
    ['TLS within TLS', hex('16 03 01 0200 01')],
    ['DNS over TLS', hex('001d 1234 0100 0001 0000 0000 0000 07 6578616d706c65')],
    ['a Postgres startup', hex('00000054 0003 0000 75736572')],
    ['a MySQL packet', hex('b50000 02 8da2bf09')],
    ['an LDAP bind', hex('30 0c 02 01 01 60 07')],
    ['MQTT', hex('10 1f 00 04 4d515454 04 02')],
    ['an SMTP banner', Buffer.from('220 mail.example.test ESMTP\r\n')],
    ['Redis', Buffer.from('*1\r\n$4\r\nPING\r\n')],
    ['JSON in UTF-8, cut in a character', Buffer.from('{"name":"Jürg € 𝄞"}').subarray(0, 22)],
    ['too few to say', hex('00 01 02')],
  ])('%s', (_name, bytes) => expect(beginsAsProtocol(bytes)).toBe(true));

  test.each([
    ['pointers', hex('a0c3f1b2e57f0000 10c4f1b2e57f0000')],
    ['zeros', Buffer.alloc(64)],
    ['a small counter', hex('0500000000000000 0100000000000000')],
    ['code', hex('f30f1efa 55 4889e5 4883ec20 c745fc00000000')],
    ['compressed bytes', hex('789ced9d0b5c5455fac7')],
    ['ones', Buffer.alloc(64, 0xff)],
  ])('not %s', (_name, bytes) => expect(beginsAsProtocol(bytes)).toBe(false));
});

function fileBy(method: ProbeMethod): TlsFile {
  return {
    path: '/opt/agent', state: 'attached', library: 'boringssl', reason: null, hookedAt: nanoseconds(1n), seesHandshakes: false,
    probe: { path: '/opt/agent', place: null, build_id: 'ab', library: 'boringssl', status: 'attached', method, functions: ['SSL_read'], reason: null, steps: [] },
  };
}

function chunk(payload: Buffer, more: { direction?: 'read' | 'write'; position?: number; fault?: boolean } = {}): TlsEvent {
  const { direction = 'write', position = 0, fault = false } = more;
  return {
    timestamp: nanoseconds(1n), source: 'tls', pid: 9, comm: 'agent', id: 'x', process: 'k', session: 'k',
    data: {
      event: 'DATA', connection: 'c', direction, len: payload.length, total: payload.length, offset: 0, position, payload,
      truncated: false, fault, tid: 9, library: 'boringssl', endpoint: null, server_name: null,
    },
  };
}

describe('a located file', () => {
  const garbage = hex('a0c3f1b2e57f0000 10c4f1b2e57f0000');
  const request = Buffer.from('GET / HTTP/1.1\r\n');

  test('through which nonsense passes is suspect, once', () => {
    const suspicion = createSuspicion();
    const file = fileBy('locator');
    expect(suspicion.judge(chunk(garbage), [file])).toEqual([]);
    expect(suspicion.judge(chunk(garbage, { direction: 'read' }), [file])).toMatchObject([{
      path: '/opt/agent', status: 'suspect', method: 'locator', functions: ['SSL_read'], reason: expect.stringContaining('the place may be wrong'),
    }]);
    expect(suspicion.judge(chunk(garbage), [file])).toEqual([]);
  });

  test('of which one direction is right is suspect for the other', () => {
    const suspicion = createSuspicion();
    const file = fileBy('build-id');
    for (const event of [chunk(request), chunk(garbage, { direction: 'read' }), chunk(request)]) expect(suspicion.judge(event, [file])).toEqual([]);
    expect(suspicion.judge(chunk(garbage, { direction: 'read' }), [file])).toHaveLength(1);
  });

  test('is not suspected for the middle of a body, one strange program among others, or what another file carried', () => {
    const suspicion = createSuspicion();
    const file = fileBy('locator');
    suspicion.judge(chunk(request), [file]);
    suspicion.judge(chunk(request, { direction: 'read' }), [file]);
    for (let count = 0; count < 5; count++) {
      expect(suspicion.judge(chunk(garbage), [file])).toEqual([]);
      expect(suspicion.judge(chunk(garbage, { position: 100 }), [fileBy('locator')])).toEqual([]);
      expect(suspicion.judge(chunk(garbage), [{ ...fileBy('locator'), library: 'rustls' }])).toEqual([]);
    }
  });

  test.each(['symbol', 'internal', 'pclntab'] as const)('that was found by %s is not judged', (method) => {
    const suspicion = createSuspicion();
    const file = fileBy(method);
    for (let count = 0; count < 5; count++) expect(suspicion.judge(chunk(garbage), [file])).toEqual([]);
  });

  test('whose memory cannot be read is suspect', () => {
    const suspicion = createSuspicion();
    const file = fileBy('locator');
    suspicion.judge(chunk(request, { fault: true }), [file]);
    expect(suspicion.judge(chunk(request, { fault: true }), [file])).toHaveLength(1);
  });
});
