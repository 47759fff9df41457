/** Stretches of time that the page was not sent: seen as blind bands, fetched over REST. */
export interface Gap {
  readonly id: number;
  readonly from: number;
  readonly to: number;
  /** Events the hub said it left out; null where it could not say (the connection was away). */
  readonly dropped: number | null;
  readonly state: 'fetching' | 'filled' | 'failed';
}

/** Older gaps that were filled are forgotten first; the counter keeps the total. */
const MAX_GAPS = 200;

export function addGap(gaps: readonly Gap[], gap: Gap): readonly Gap[] {
  const all = [...gaps, gap];
  if (all.length <= MAX_GAPS) return all;
  const oldest = all.findIndex((item) => item.state === 'filled');
  return all.toSpliced(Math.max(0, oldest), 1);
}

export function setGap(gaps: readonly Gap[], id: number, state: Gap['state']): readonly Gap[] {
  return gaps.map((gap) => (gap.id === id ? { ...gap, state } : gap));
}

/** The count that the hub gave may have held events of other sessions: now it is known how many were of this one. */
export function setFilled(gaps: readonly Gap[], id: number, filled: number): readonly Gap[] {
  return gaps.map((gap) => (gap.id === id ? { ...gap, state: 'filled', dropped: gap.dropped === null ? null : filled } : gap));
}
