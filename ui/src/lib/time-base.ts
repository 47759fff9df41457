/**
 * The one place where epoch nanoseconds become numbers.
 *
 * The API gives epoch nanoseconds as decimal strings. The page counts in
 * nanoseconds since an origin (the session's start): a double is exact to the
 * nanosecond up to 2^53, which is 104 days.
 */
export class TimeBase {
  readonly originNs: bigint;

  constructor(origin: string | bigint) {
    this.originNs = BigInt(origin);
  }

  /** Epoch nanoseconds in decimal to nanoseconds since the origin. */
  toOffset(epochNs: string | bigint): number {
    return Number(BigInt(epochNs) - this.originNs);
  }

  /** The inverse of `toOffset`; a fraction of a nanosecond is dropped. */
  toEpoch(offsetNs: number): string {
    return (this.originNs + BigInt(Math.round(offsetNs))).toString();
  }

  /** Lossy below one millisecond. */
  toDate(offsetNs: number): Date {
    return new Date(Number((this.originNs + BigInt(Math.round(offsetNs))) / 1_000_000n));
  }

  /** Nanoseconds from the last local midnight to the origin: where round clock times are. */
  sinceMidnightNs(): number {
    const date = this.toDate(0);
    const seconds = date.getHours() * 3600 + date.getMinutes() * 60 + date.getSeconds();
    return seconds * 1e9 + Number(this.originNs % 1_000_000_000n);
  }
}

/** True for what `BigInt` takes as a non-negative decimal. */
export function isEpochNs(text: string): boolean {
  return /^\d{1,20}$/.test(text);
}
