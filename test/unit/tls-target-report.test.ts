import { expect, test } from 'vitest';
import type { TlsEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { createTlsReport } from '../../src/runners/tls-report.ts';
import { nanoseconds } from '../../src/time.ts';

const curl = { pid: 5, comm: 'curl', key: 'h.b.1.5', session: 'h.b.1.5' };
const libssl = { path: '/lib/libssl.so.3', state: 'attached', library: 'openssl', reason: null, probe: null, hookedAt: nanoseconds(100n), seesHandshakes: true } as const;
const UNHOOKED = { probe: null, hookedAt: null, seesHandshakes: false } as const;

function chunk(direction: 'read' | 'write', len: number): TlsEvent {
  return {
    timestamp: nanoseconds(1n), source: 'tls', pid: 5, comm: 'curl', id: 'x', process: 'h.b.1.5', session: 'h.b.1.5',
    data: {
      event: 'DATA', connection: 'c', direction, len, total: len, offset: 0, position: 0, payload: Buffer.alloc(len),
      truncated: false, fault: false, tid: 5, library: 'openssl', endpoint: null, server_name: null,
    },
  };
}

test('a process whose bytes were seen is told with their number', () => {
  const report = createTlsReport();
  report.library(curl, libssl);
  report.tls(chunk('write', 10));
  report.tls(chunk('read', 20));
  report.tls(chunk('read', 5));
  expect(report.rows()).toEqual([{
    pid: 5, comm: 'curl', process: 'h.b.1.5', root: true, state: 'captured', libraries: ['/lib/libssl.so.3'],
    readBytes: 25, writtenBytes: 10, reason: null, speaks: false,
  }]);
});

test('a root without TLS is told, and why nothing was captured', () => {
  const report = createTlsReport();
  report.root(curl, '/bin/curl');
  report.seen(curl.key, 'libraries');
  expect(report.unseen()).toEqual([]);
  expect(report.rows()).toMatchObject([{ state: 'none', reason: 'no TLS library found' }]);
});

test('a root that ended too soon is not said to have no TLS library', () => {
  const report = createTlsReport();
  report.root(curl, '/bin/curl');
  expect(report.unseen()).toEqual([{ ...curl, program: '/bin/curl' }]);
  expect(report.rows()[0]?.reason).toBe('it ended before it could be looked at');
  report.seen(curl.key, 'program');
  expect(report.rows()[0]?.reason).toContain('its program file asks for no TLS library');
  report.library(curl, libssl);
  expect(report.rows()).toMatchObject([{ state: 'silent', libraries: [libssl.path] }]);
});

test('a root that executes another program is looked at anew', () => {
  const report = createTlsReport();
  report.root(curl, '/bin/sh');
  report.seen(curl.key, 'libraries');
  report.root(curl, '/bin/curl');
  expect(report.unseen()).toMatchObject([{ program: '/bin/curl' }]);
});

test('a library that is not captured does not hide one that is hooked', () => {
  const report = createTlsReport();
  report.library(curl, { path: '/lib/libgnutls.so', state: 'unsupported', library: 'gnutls', reason: 'GnuTLS is not captured yet', ...UNHOOKED });
  report.library(curl, libssl);
  expect(report.rows()).toMatchObject([{ state: 'silent' }]);
  expect(report.rows()[0]?.reason).toMatch(/is hooked, but no TLS read or write succeeded .*GnuTLS is not captured yet/);
});

test.each([
  [{ ...libssl }, 'silent'],
  [{ path: '/lib/libgnutls.so', state: 'unsupported', library: 'gnutls', reason: 'GnuTLS is not captured yet', ...UNHOOKED } as const, 'unsupported'],
  [{ path: '/lib/libssl.so', state: 'failed', library: 'openssl', reason: 'no space', ...UNHOOKED } as const, 'failed'],
])('a process with a library and no byte is told with the reason: %o', (file, state) => {
  const report = createTlsReport();
  report.library({ ...curl, session: 'h.b.0.1' }, file);
  expect(report.rows()).toMatchObject([{ state, root: false }]);
  expect(report.rows()[0]?.reason).toContain(file.reason ?? 'no TLS read or write succeeded');
});

test('rows beyond the limit are counted', () => {
  const report = createTlsReport();
  for (let pid = 1; pid <= LIMITS.tlsReportRows + 3; pid++) report.root({ pid, comm: 'x', key: `k${pid}`, session: `k${pid}` }, null);
  expect(report.rows()).toHaveLength(LIMITS.tlsReportRows);
  expect(report.omitted).toBe(3);
});
