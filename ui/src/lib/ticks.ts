/** Round times for the axis, and how to write them. */
import type { TimeScale } from './time-scale.ts';

const SECOND = 1e9;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY_NS = 24 * HOUR;

const LONG_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12, 24, 48, 168].map((n) => n * HOUR),
];

export interface Tick {
  readonly time: number;
  readonly label: string;
}

/** The smallest round step that is at least `minimumNs`. */
export function roundStep(minimumNs: number): number {
  if (minimumNs > SECOND / 2) {
    return LONG_STEPS.find((step) => step >= minimumNs) ?? Math.ceil(minimumNs / DAY_NS) * DAY_NS;
  }
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(1, minimumNs)));
  const factor = [1, 2, 5, 10].find((n) => n * magnitude >= minimumNs) ?? 10;
  return Math.max(1, Math.round(factor * magnitude));
}

/**
 * Ticks at round times of the wall clock. `phaseNs` is the clock's time at
 * offset 0. A change of the clock's offset within a session is not followed.
 */
export function axisTicks(scale: TimeScale, phaseNs: number, spacingPx: number): { step: number; ticks: Tick[] } {
  const step = roundStep(scale.nsPerPx * spacingPx);
  const first = Math.ceil((scale.from + phaseNs) / step);
  const last = Math.floor((scale.to + phaseNs) / step);
  const ticks: Tick[] = [];
  for (let index = first; index <= last && ticks.length < 500; index += 1) {
    const clock = index * step;
    ticks.push({ time: clock - phaseNs, label: clockLabel(clock, step) });
  }
  return { step, ticks };
}

/** `14:02:11.250`, with as many digits as the step needs. */
export function clockLabel(clockNs: number, stepNs: number): string {
  const inDay = ((clockNs % DAY_NS) + DAY_NS) % DAY_NS;
  const hours = Math.floor(inDay / HOUR);
  const minutes = Math.floor((inDay % HOUR) / MINUTE);
  const text = `${two(hours)}:${two(minutes)}`;
  if (stepNs >= MINUTE) return text;
  const whole = Math.floor((inDay % MINUTE) / SECOND);
  const digits = fractionDigits(stepNs);
  if (digits === 0) return `${text}:${two(whole)}`;
  const fraction = String(Math.round(inDay % SECOND)).padStart(9, '0').slice(0, digits);
  return `${text}:${two(whole)}.${fraction}`;
}

function fractionDigits(stepNs: number): number {
  if (stepNs >= SECOND) return 0;
  return Math.min(9, Math.ceil(9 - Math.log10(stepNs) - 1e-9));
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
