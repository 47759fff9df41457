/**
 * Who speaks: the names that make ids and process keys unique everywhere.
 *
 * - event id: `<host>.<boot>.<collector>.<sequence>`
 * - process key: `<host>.<boot>.<start>.<pid>`, where start is the start time
 *   since boot in clock ticks of 10 ms, base 36. Ticks, not nanoseconds,
 *   because /proc/PID/stat offers nothing finer: the key of a process is the
 *   same whether the kernel's record or /proc named it. The kernel gives a pid
 *   out again only after its counter wrapped around, which takes longer than a
 *   tick.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { ProcessKey } from './event.ts';
import { readBootId } from './time.ts';

/** USER_HZ is 100 on every architecture that we build for. */
const NS_PER_TICK = 10_000_000n;
const COLLECTOR_ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const COLLECTOR_LENGTH = 6;

export interface Identity {
  readonly host: string;
  readonly boot: string;
  /** Random, new for every run. */
  readonly collector: string;
  /** `<host>.<boot>.<collector>`: the start of every event id of this run. */
  readonly prefix: string;
  nextId(): string;
  /** Start since boot in nanoseconds, as the kernel's records have it. */
  processKey(startNs: bigint, pid: number): ProcessKey;
  /** Start since boot in clock ticks, as /proc/PID/stat has it. */
  processKeyOfTicks(startTicks: bigint, pid: number): ProcessKey;
}

export interface IdentityParts {
  readonly host: string;
  readonly boot: string;
  readonly collector: string;
}

export function createIdentity(parts: IdentityParts = readIdentityParts()): Identity {
  const prefix = `${parts.host}.${parts.boot}.${parts.collector}`;
  const idPrefix = `${prefix}.`;
  const processPrefix = `${parts.host}.${parts.boot}.`;
  let sequence = 0;
  const processKeyOfTicks = (startTicks: bigint, pid: number): ProcessKey =>
    `${processPrefix}${startTicks.toString(36)}.${pid}`;
  return {
    ...parts,
    prefix,
    nextId: () => idPrefix + ++sequence,
    processKey: (startNs, pid) => processKeyOfTicks(startNs / NS_PER_TICK, pid),
    processKeyOfTicks,
  };
}

function readIdentityParts(): IdentityParts {
  const hash = createHash('sha256').update(readMachineId()).update('\0').update(hostname());
  return {
    host: hash.digest('hex').slice(0, 12),
    boot: readBootId().replaceAll('-', '').slice(0, 8),
    collector: randomCollector(),
  };
}

/** Minimal containers have none: the host name alone then tells hosts apart. */
function readMachineId(): string {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    try {
      const id = readFileSync(path, 'latin1').trim();
      if (id !== '') return id;
    } catch {
      // Absent or unreadable: try the next one.
    }
  }
  return '';
}

function randomCollector(): string {
  return Array.from(randomBytes(COLLECTOR_LENGTH), (byte) => COLLECTOR_ALPHABET[byte % 36]).join('');
}
