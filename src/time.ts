/**
 * The one clock of the program: nanoseconds since the Unix epoch, as a bigint,
 * because a double stops being exact at 2^53 and an epoch in nanoseconds is
 * past it.
 *
 * The kernel stamps records with CLOCK_BOOTTIME. `BootClock` is the only place
 * that turns those stamps into epoch time.
 */
import { readFileSync } from 'node:fs';

declare const nanosecondsBrand: unique symbol;
/** Nanoseconds since the Unix epoch. */
export type Nanoseconds = bigint & { readonly [nanosecondsBrand]: true };

export const NS_PER_MS = 1_000_000n;
export const NS_PER_SECOND = 1_000_000_000n;

export function nanoseconds(value: bigint): Nanoseconds {
  return value as Nanoseconds;
}

/** Lossy below one millisecond. */
export function toDate(time: Nanoseconds): Date {
  return new Date(Number(time / NS_PER_MS));
}

export function fromMilliseconds(epochMs: number): Nanoseconds {
  return nanoseconds(BigInt(Math.round(epochMs * 1000)) * 1000n);
}

/** Lossy: a double holds microseconds of today's epoch, not nanoseconds. */
export function differenceMs(later: Nanoseconds, earlier: Nanoseconds): number {
  return Number(later - earlier) / 1e6;
}

/** Epoch time of now, to the microsecond that the platform offers. */
export function now(): Nanoseconds {
  return fromMilliseconds(performance.timeOrigin + performance.now());
}

/**
 * Turns CLOCK_BOOTTIME nanoseconds into epoch nanoseconds.
 *
 * The offset between the two clocks is given once, at construction (the addon
 * samples it between two reads of the other clock, so that it is right within
 * a microsecond). It does not follow later steps of the wall clock: one run
 * keeps one offset, so that durations and order stay true.
 */
export class BootClock {
  readonly offsetNs: bigint;

  constructor(offsetNs: bigint) {
    this.offsetNs = offsetNs;
  }

  toEpoch(bootNs: bigint): Nanoseconds {
    return nanoseconds(bootNs + this.offsetNs);
  }
}

/** The kernel's identity of this boot, from /proc. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
