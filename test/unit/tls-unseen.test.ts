/** What a process spoke on its sockets against what passed the hooks: what is said of it. */
import { describe, expect, test } from 'vitest';
import { blindSpots } from '../../src/cli/summary.ts';
import type { Endpoint, NetData, NetEvent, TlsData, TlsEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import type { TlsFile } from '../../src/runners/tls-files.ts';
import { createTlsReport, type TlsReport } from '../../src/runners/tls-report.ts';
import { nanoseconds } from '../../src/time.ts';

const WHO = { pid: 7, comm: 'agent', process: 'h.b.1.7', session: 'h.b.0.1' };
const KNOWN = { pid: 7, comm: 'agent', key: 'h.b.1.7', session: 'h.b.0.1' };
const LIBSSL: TlsFile = {
  path: '/lib/libssl.so.3', state: 'attached', library: 'openssl', reason: null, probe: null, hookedAt: nanoseconds(100n), seesHandshakes: true,
};
const BUN: TlsFile = { ...LIBSSL, path: '/bin/bun', library: 'boringssl', seesHandshakes: false };
const JVM: TlsFile = { ...LIBSSL, path: '/lib/libjvm.so', state: 'unsupported', library: 'jsse', reason: 'JSSE, not captured', hookedAt: null };

function endpoint(socket: string, remotePort = 443): Endpoint {
  return { family: 'ipv4', local: { address: '10.0.0.1', port: 8443 }, remote: { address: '192.0.2.1', port: remotePort }, socket };
}

function net(data: NetData, time = 1000n): NetEvent {
  return { timestamp: nanoseconds(time), source: 'net', id: 'n', ...WHO, data };
}

function hello(socket: string, name: string | null, more: { role?: 'client' | 'server' | null; time?: bigint } = {}): NetEvent {
  const { role = 'client', time = 1000n } = more;
  return net({ event: 'HELLO', endpoint: endpoint(socket), role, existing: role === null, server_name: name, alpn: [], version: null }, time);
}

function tls(data: TlsData): TlsEvent {
  return { timestamp: nanoseconds(2000n), source: 'tls', id: 't', ...WHO, data };
}

const bound = (socket: string): TlsEvent =>
  tls({ event: 'ENDPOINT', connection: `c${socket}`, endpoint: endpoint(socket), server_name: null, evidence: 'proven', library: null });

function bytes(socket: string | null): TlsEvent {
  return tls({
    event: 'DATA', connection: `c${socket}`, direction: 'write', len: 5, total: 5, offset: 0, position: 0, payload: Buffer.from('GET /'),
    truncated: false, fault: false, tid: 7, library: 'openssl', endpoint: socket === null ? null : endpoint(socket), server_name: null,
  });
}

/** What is said at the end. */
function verdict(report: TlsReport): string {
  const [row] = report.rows();
  return `${row?.state}: ${row?.reason}`;
}

describe('a process that speaks TLS', () => {
  test('by nothing that we know', () => {
    const report = createTlsReport();
    expect(report.net(hello('1', 'api.example.test'))).toBe(true);
    expect(verdict(report)).toBe('unrecognised: speaks TLS to api.example.test by a library that was not recognised');
  });

  test('to many: three are named', () => {
    const report = createTlsReport();
    for (const name of ['a', 'b', 'c', 'd', 'e', 'a']) report.net(hello(`${name}1`, name));
    expect(verdict(report)).toContain('to a and to b and to c and 2 others');
  });

  test('as a server, or since before the trace: where', () => {
    const server = createTlsReport();
    server.net(hello('1', 'me.example.test', { role: 'server' }));
    expect(verdict(server)).toContain('speaks TLS at port 8443 by');
    const before = createTlsReport();
    before.net(hello('1', null, { role: null }));
    expect(verdict(before)).toContain('speaks TLS to 192.0.2.1:443 by');
  });

  test('whose hook was passed before or after its greeting is none of those', () => {
    for (const order of [[bound('1'), hello('1', 'a')], [hello('1', 'a'), bound('1')]]) {
      const report = createTlsReport();
      report.library(KNOWN, LIBSSL);
      for (const event of order) {
        if (event.source === 'net') report.net(event);
        else report.tls(event);
      }
      expect(report.takeUnseen(1e9, true)).toEqual([]);
      expect(verdict(report)).toMatch(/^silent: its TLS library is hooked/);
      report.tls(bytes('1'));
      expect(verdict(report)).toBe('captured: null');
    }
  });

  test('on a socket with the number of an earlier one is judged anew', () => {
    const report = createTlsReport();
    report.tls(bound('1'));
    report.net(net({
      event: 'CLOSE', protocol: 'tcp', fd: 3, connection: 'c', endpoint: endpoint('1'), host: null, error: null, duration_ms: 1,
      read_bytes: 1, written_bytes: 1, existing: false, speaks: null,
    }));
    report.net(hello('1', 'b'));
    expect(verdict(report)).toContain('to b');
  });

  test('by a library that is named and not captured', () => {
    const report = createTlsReport();
    report.library(KNOWN, JVM);
    report.net(hello('1', 'a'));
    expect(verdict(report)).toBe('unsupported: JSSE, not captured (TLS to a, /lib/libjvm.so)');
    expect(blindSpots(report.rows())).toEqual(['no TLS plaintext: pid 7 agent: JSSE, not captured (TLS to a, /lib/libjvm.so)']);
  });

  test('and has one that is hooked and was not used', () => {
    const report = createTlsReport();
    report.library(KNOWN, LIBSSL);
    report.net(hello('1', 'a'));
    expect(verdict(report)).toBe('unrecognised: speaks TLS to a by a library that was not recognised (/lib/libssl.so.3 is hooked and was not used)');
  });

  test('and has one whose failed handshakes are not seen: neither is claimed', () => {
    const report = createTlsReport();
    report.library(KNOWN, BUN);
    report.net(hello('1', 'a'));
    expect(verdict(report)).toMatch(/^silent: .*its handshake failed, or another library was used$/);
  });

  test('before its library was hooked', () => {
    const report = createTlsReport();
    report.library(KNOWN, LIBSSL);
    report.net(hello('1', 'a', { time: 50n }));
    expect(verdict(report)).toBe('missed: spoke TLS to a before /lib/libssl.so.3 was hooked');
  });

  test('and only hands on what it was greeted with', () => {
    const report = createTlsReport();
    report.net(hello('1', 'a', { role: 'server' }));
    report.net(hello('2', 'a'));
    expect(verdict(report)).toMatch(/^none: passes on TLS/);
  });

  test('seen on one connection and not on another: said when it is sure, and only then', () => {
    const report = createTlsReport();
    report.tls(bound('1'));
    report.tls(bytes('1'));
    report.net(hello('2', 'b'));
    expect(verdict(report)).toMatch(/^captured: it also speaks TLS to b of which no plaintext was seen/);
    report.tls(bytes(null));
    expect(verdict(report)).toBe('captured: null');
  });

  test('in a child that was forked: it has what its parent has mapped', () => {
    const report = createTlsReport();
    report.library({ ...KNOWN, key: 'h.b.0.1' }, JVM);
    report.fork('h.b.0.1', 'h.b.1.6');
    report.fork('h.b.1.6', KNOWN.key);
    expect(report.net(hello('1', 'a'))).toBe(false);
    expect(report.rows().find(({ process }) => process === KNOWN.key)?.reason).toContain('JSSE, not captured');
  });

  test('with the kernel: sendfile is named', () => {
    const report = createTlsReport();
    report.tls(bytes('1'));
    const asked = (error: string | null): NetEvent => net({
      event: 'KTLS', protocol: 'tcp', fd: 3, connection: 'c', endpoint: endpoint('1'), host: null, error, duration_ms: null,
      read_bytes: null, written_bytes: null, existing: false, speaks: null,
    });
    report.net(asked('ENOENT'));
    expect(verdict(report)).toBe('captured: null');
    report.net(asked(null));
    expect(verdict(report)).toBe('captured: its TLS to 192.0.2.1:443 is made by the kernel (kTLS): what sendfile sends on it is not captured');
    expect(blindSpots(report.rows())).toHaveLength(1);
  });
});

describe('it is told', () => {
  test('once, when no plaintext came for some seconds, or at the end', () => {
    const report = createTlsReport();
    report.net(hello('1', 'a'));
    report.program(KNOWN.key, '/opt/agent');
    expect(report.takeUnseen(performance.now(), false)).toEqual([]);
    const later = performance.now() + LIMITS.tlsUnseenMs;
    expect(report.takeUnseen(later, false)).toMatchObject([{ reported: KNOWN, program: '/opt/agent', state: 'unrecognised' }]);
    expect(report.takeUnseen(later, true)).toEqual([]);
  });

  test('though the report is full of others', () => {
    const report = createTlsReport();
    for (let pid = 100; pid < 100 + LIMITS.tlsReportRows; pid++) report.library({ ...KNOWN, pid, key: `k${pid}` }, LIBSSL);
    report.net(hello('1', 'a'));
    expect(report.takeUnseen(0, true)).toHaveLength(1);
    expect(report.rows()).toHaveLength(LIMITS.tlsReportRows);
    expect(report.omitted).toBe(1);
  });

  test('in one line for all that are alike, and those who speak first', () => {
    const report = createTlsReport();
    for (let pid = 1; pid <= 30; pid++) {
      report.library({ pid, comm: `old${pid}`, key: `k${pid}`, session: null }, JVM);
    }
    for (const pid of [41, 42, 43]) report.net({ ...hello('1', 'a'), pid, process: `k${pid}` });
    const lines = blindSpots(report.rows());
    expect(lines[0]).toBe('no TLS plaintext: pid 41 agent: speaks TLS to a by a library that was not recognised (and 2 others like it)');
    expect(lines.at(-1)).toBe('and 11 more: see the probe events');
  });

  test('within bounds: greetings of one process beyond the limit are counted', () => {
    const report = createTlsReport();
    for (let number = 0; number < LIMITS.tlsGreetings * 2 + 5; number++) report.net(hello(String(number), `host${number}`));
    expect(report.forgottenGreetings).toBeGreaterThanOrEqual(5);
  });
});
