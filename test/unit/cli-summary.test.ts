import { expect, test } from 'vitest';
import { summaryLine, suspectLine, suspectSummary } from '../../src/cli/summary.ts';
import type { ProbeData } from '../../src/event.ts';
import type { StageStats } from '../../src/stats.ts';

function line(stages: readonly StageStats[], verb = 'traced'): string {
  return summaryLine({ verb, durationMs: 1200, totals: { events: 3, bySource: new Map([['http', 1]]) }, stages, output: null });
}

test('a run without losses says so', () => {
  expect(line([{ stage: 'file', counters: { events: 3, refused: 0, bytes: 900 } }]))
    .toBe('traced for 1.2 s: 3 events (1 HTTP exchange); nothing lost');
});

test.each([
  [{ stage: 'kernel.tls', counters: { ring_full: 1200 } }, '1,200 tls records did not fit the ring'],
  [{ stage: 'kernel.stdio', counters: { read_fault: 2 } }, '2 stdio calls had memory that could not be read'],
  [{ stage: 'kernel.stdio', counters: { truncated_bytes: 5 } }, '5 bytes of stdio payload were beyond the limit of one call (--max-bytes raises it)'],
  [{ stage: 'kernel.tls', counters: { truncated_bytes: 5 } }, '5 bytes of tls payload were beyond the limit of one call (--max-payload raises it)'],
  [{ stage: 'decoder', counters: { malformed: 1 } }, '1 records could not be decoded'],
  [{ stage: 'file', counters: { refused: 7 } }, '7 events were refused by file'],
  [{ stage: 'replay', counters: { bad_lines: 4 } }, '4 lines of the capture could not be read'],
])('what was lost is told with its number: %o', (stage, words) => {
  expect(line([stage])).toContain(`LOST: ${words}`);
  expect(line([stage])).not.toContain('nothing lost');
});

function suspect(path: string): ProbeData {
  return {
    path, place: null, build_id: null, library: 'boringssl', status: 'suspect', method: 'locator', functions: ['SSL_read'],
    reason: 'what passed there is strange', steps: [],
  };
}

test('a wrong place is told with its file, and at the end each file once', () => {
  expect(suspectLine(suspect('/opt/agent'))).toBe('warning: /opt/agent: boringssl was found there by locator, but what passed there is strange');
  expect(suspectSummary([])).toEqual([]);
  expect(suspectSummary(['/opt/a', '/opt/b', '/opt/a'].map(suspect))).toEqual([expect.stringMatching(/suspect: \/opt\/a, \/opt\/b$/)]);
  expect(suspectSummary(Array.from({ length: 25 }, (_, i) => suspect(`/opt/${i}`)))).toEqual([expect.stringMatching(/\/opt\/19 and 5 more$/)]);
});
