import { describe, expect, it } from 'vitest';
import { TimeBase, isEpochNs } from '../../ui/src/lib/time-base.ts';
import { MIN_SPAN_NS, TimeScale, clampTo, fit, pan, zoom } from '../../ui/src/lib/time-scale.ts';
import { DAY_NS, axisTicks, clockLabel, roundStep } from '../../ui/src/lib/ticks.ts';

describe('time base', () => {
  it('keeps every nanosecond of an epoch stamp there and back', () => {
    const base = new TimeBase('1795254899123456789');
    for (const stamp of ['1795254899123456789', '1795254899123456790', '1795341299999999999', '1795254899000000001']) {
      expect(base.toEpoch(base.toOffset(stamp))).toBe(stamp);
    }
    expect(base.toOffset('1795254899123456788')).toBe(-1);
  });

  it('takes decimals only', () => {
    expect(['1', '0', '18446744073709551615'].map(isEpochNs)).toEqual([true, true, true]);
    expect(['', '-1', '1.5', '1e3', '0x10', ' 1', '9'.repeat(21)].map(isEpochNs)).toEqual(Array.from({ length: 7 }, () => false));
  });
});

describe('time scale', () => {
  const scale = new TimeScale({ from: 1_000, to: 3_000_000 }, 640);

  it('maps pixels and times inversely', () => {
    for (const px of [0, 1, 13.5, 320, 639, 640]) expect(scale.toPx(scale.toTime(px))).toBeCloseTo(px, 9);
    expect(scale.toPx(1_000)).toBe(0);
    expect(scale.toTime(640)).toBeCloseTo(3_000_000, 6);
  });

  it('zooms around the anchor', () => {
    const span = zoom({ from: 0, to: 1e9 }, 0.5, 2.5e8);
    expect(span.to - span.from).toBeCloseTo(5e8, 3);
    expect(new TimeScale(span, 100).toPx(2.5e8)).toBeCloseTo(25, 6);
  });

  it('never zooms below the least span', () => {
    const span = zoom({ from: 0, to: MIN_SPAN_NS }, 0.001, 10);
    expect(span.to - span.from).toBe(MIN_SPAN_NS);
  });

  it('pans and fits', () => {
    expect(pan({ from: 1, to: 2 }, 3)).toEqual({ from: 4, to: 5 });
    const whole = fit({ from: 0, to: 1e9 });
    expect(whole.from).toBeLessThan(0);
    expect(whole.to).toBeGreaterThan(1e9);
  });

  it('keeps the data in sight', () => {
    const away = clampTo({ from: 1e12, to: 1e12 + 1e6 }, { from: 0, to: 1e9 });
    expect(away.from).toBeLessThan(1e9);
    expect(away.to - away.from).toBeCloseTo(1e6, 0);
    const wide = clampTo({ from: -1e12, to: 1e12 }, { from: 0, to: 1e9 });
    expect(wide.to - wide.from).toBe(4e9);
  });
});

describe('axis', () => {
  it('steps are round', () => {
    expect([1, 3, 40, 700, 3e5, 4e7, 3e8].map(roundStep)).toEqual([1, 5, 50, 1000, 5e5, 5e7, 5e8]);
    expect(roundStep(3e9)).toBe(5e9);
    expect(roundStep(61e9)).toBe(120e9);
    expect(roundStep(400 * DAY_NS)).toBe(400 * DAY_NS);
  });

  it('ticks lie on round clock times, inside of the window', () => {
    const phase = 14 * 3600e9 + 2 * 60e9 + 11.25e9;
    const scale = new TimeScale({ from: 0, to: 10e9 }, 1000);
    const { step, ticks } = axisTicks(scale, phase, 100);
    expect(step).toBe(1e9);
    expect(ticks[0]).toEqual({ time: 0.75e9, label: '14:02:12' });
    expect(ticks).toHaveLength(10);
  });

  it('shows as many digits as the step needs', () => {
    const clock = 14 * 3600e9 + 2 * 60e9 + 11.25e9;
    expect(clockLabel(clock, 60e9)).toBe('14:02');
    expect(clockLabel(clock, 1e9)).toBe('14:02:11');
    expect(clockLabel(clock, 50e6)).toBe('14:02:11.25');
    expect(clockLabel(clock, 1e6)).toBe('14:02:11.250');
    expect(clockLabel(clock + DAY_NS, 1e9)).toBe('14:02:11');
    expect(clockLabel(-1e9, 1e9)).toBe('23:59:59');
  });
});
