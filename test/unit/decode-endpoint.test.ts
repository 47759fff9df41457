import { describe, expect, test } from 'vitest';
import { ipv6Text, readEndpoint } from '../../src/decode/endpoint.ts';
import { ENDPOINT, SIZE } from '../../src/decode/layout.ts';

function viewOf(family: number, local: readonly number[], remote: readonly number[]): DataView {
  const bytes = new Uint8Array(SIZE.endpoint);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(ENDPOINT.socket, 0x1_0000_0001n, true);
  view.setUint16(ENDPOINT.family, family, true);
  view.setUint16(ENDPOINT.local_port, 40000, true);
  view.setUint16(ENDPOINT.remote_port, 443, true);
  bytes.set(local, ENDPOINT.local);
  bytes.set(remote, ENDPOINT.remote);
  return view;
}

function ipv6(...groups: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(16));
  groups.forEach((group, index) => view.setUint16(2 * index, group));
  return ipv6Text(view, 0);
}

describe('an endpoint', () => {
  test('of IPv4 has dotted addresses and ports in host order', () => {
    expect(readEndpoint(viewOf(2, [10, 0, 0, 1], [192, 168, 0, 255]), 0)).toEqual({
      family: 'ipv4', local: { address: '10.0.0.1', port: 40000 }, remote: { address: '192.168.0.255', port: 443 }, socket: '4294967297',
    });
  });

  test('of IPv6 has its addresses as RFC 5952 writes them', () => {
    const loopback = Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0));
    expect(readEndpoint(viewOf(10, loopback, loopback), 0)?.remote).toEqual({ address: '::1', port: 443 });
  });

  test('of a unix socket has no addresses and no ports', () => {
    expect(readEndpoint(viewOf(1, [], []), 0)).toEqual({
      family: 'unix', local: { address: '', port: null }, remote: { address: '', port: null }, socket: '4294967297',
    });
  });

  test('of a family that we do not know is none', () => {
    expect(readEndpoint(viewOf(0, [], []), 0)).toBeNull();
    expect(readEndpoint(viewOf(16, [], []), 0)).toBeNull();
  });
});

test.each([
  [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
  [[0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], '2001:db8::1:0:0:1'],
  [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'],
  [[0xfe80, 0, 0, 0, 0xabcd, 0, 0, 0], 'fe80::abcd:0:0:0'],
  [[1, 2, 3, 4, 5, 6, 7, 0], '1:2:3:4:5:6:7:0'],
  [[1, 0, 0, 0, 0, 0, 0, 0], '1::'],
])('the address of %j is %s', (groups, text) => {
  expect(ipv6(...groups)).toBe(text);
});
