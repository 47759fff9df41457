/** `struct endpoint` of a record to an `Endpoint`. */
import type { Endpoint } from '../event.ts';
import { ENDPOINT } from './layout.ts';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/** null where the kernel side knew no socket. Unix addresses are empty: their paths are told elsewhere. */
export function readEndpoint(view: DataView, at: number): Endpoint | null {
  const socket = String(view.getBigUint64(at + ENDPOINT.socket, true));
  const family = view.getUint16(at + ENDPOINT.family, true);
  if (family === AF_UNIX) {
    const nowhere = { address: '', port: null };
    return { family: 'unix', local: nowhere, remote: nowhere, socket };
  }
  if (family !== AF_INET && family !== AF_INET6) return null;
  const textOf = family === AF_INET ? ipv4Text : ipv6Text;
  return {
    family: family === AF_INET ? 'ipv4' : 'ipv6',
    local: { address: textOf(view, at + ENDPOINT.local), port: view.getUint16(at + ENDPOINT.local_port, true) },
    remote: { address: textOf(view, at + ENDPOINT.remote), port: view.getUint16(at + ENDPOINT.remote_port, true) },
    socket,
  };
}

/** Four bytes in network order. */
export function ipv4Text(view: DataView, at: number): string {
  return `${view.getUint8(at)}.${view.getUint8(at + 1)}.${view.getUint8(at + 2)}.${view.getUint8(at + 3)}`;
}

/** Sixteen bytes in network order, as RFC 5952 wants them: lower case, the first longest run of zeros as `::`. */
export function ipv6Text(view: DataView, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(at + 2 * index));
  let best = { start: 0, length: 0 };
  let run = { start: 0, length: 0 };
  for (const [index, group] of groups.entries()) {
    run = group === 0 ? { start: run.length === 0 ? index : run.start, length: run.length + 1 } : { start: 0, length: 0 };
    if (run.length > best.length) best = run;
  }
  const text = (from: number, to: number) => groups.slice(from, to).map((group) => group.toString(16)).join(':');
  if (best.length < 2) return text(0, 8);
  return `${text(0, best.start)}::${text(best.start + best.length, 8)}`;
}
