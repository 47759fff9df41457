import { describe, expect, it } from 'vitest';
import type { ApiEvent } from '../../src/hub/api.ts';
import { EventStore, MAX_DEPTH } from '../../ui/src/lib/event-store.ts';
import { compileFilter, parseSources, words } from '../../ui/src/lib/filter.ts';
import { hitTest } from '../../ui/src/lib/hit.ts';
import { LIFE_HEIGHT, groupAt, layOutLanes, visibleGroups } from '../../ui/src/lib/lanes.ts';
import { lossByStage } from '../../ui/src/lib/loss.ts';
import { countColumns } from '../../ui/src/lib/overview.ts';
import { ProcessTable } from '../../ui/src/lib/process-table.ts';
import { type Row, toRow } from '../../ui/src/lib/row.ts';
import { TimeBase } from '../../ui/src/lib/time-base.ts';
import { TimeScale } from '../../ui/src/lib/time-scale.ts';

const base = new TimeBase('1000000000000');
let sequence = 0;

function event(source: string, at: number, data: Record<string, unknown>, process: string | null = 'p1'): ApiEvent {
  sequence += 1;
  return { id: `e${sequence}`, timestamp: base.toEpoch(at), source, pid: 7, comm: 'agent', process, session: 's', data };
}

function exchange(at: number, latencyMs: number, status: number | null = 200): Row {
  return toRow(event('http', at, { method: 'GET', url: 'https://a.example/x', status, state: 'complete', latency_ms: latencyMs, ttfb_ms: latencyMs / 2 }), base);
}

function stdio(at: number, payload = 'hello'): Row {
  return toRow(event('stdio', at, { role: 'stdout', payload, payload_encoding: 'utf8', len: 5, total: 5, target: 'pipe:[1]' }), base);
}

describe('event store', () => {
  it('sorts by time whatever the order of arrival, and takes each event once', () => {
    const rows = [5, 1, 9, 3, 7].map((at) => stdio(at));
    const store = new EventStore();
    expect(store.add(rows.slice(0, 2))).toHaveLength(2);
    expect(store.add(rows)).toHaveLength(3);
    expect(store.rows.map((row) => row.t)).toEqual([1, 3, 5, 7, 9]);
    expect(store.track('p1', 'stdio')?.rows.map((row) => row.t)).toEqual([1, 3, 5, 7, 9]);
  });

  it('drops the oldest beyond its limit and counts them', () => {
    const store = new EventStore(100);
    for (let at = 0; at < 300; at += 1) store.add([stdio(at)]);
    expect(store.rows.length).toBeLessThanOrEqual(110);
    expect(store.evicted + store.rows.length).toBe(300);
    expect(store.from).toBe(store.evicted);
    expect(store.track('p1', 'stdio')?.rows).toEqual(store.rows);
    expect(store.get(store.rows[0]?.id ?? '')).toBe(store.rows[0]);
  });

  it('lays overlapping exchanges on lines of their own, up to a limit', () => {
    const store = new EventStore();
    store.add([exchange(0, 10), exchange(5e6, 10), exchange(20e6, 10)]);
    expect([...(store.track('p1', 'http')?.depths ?? [])]).toEqual([0, 1, 0]);
    store.add(Array.from({ length: 20 }, (_, index) => exchange(30e6 + index, 1000)));
    expect(store.track('p1', 'http')?.depth).toBe(MAX_DEPTH);
  });
});

describe('rows', () => {
  it('say what an exchange did', () => {
    const row = toRow(event('http', 5, { method: 'POST', url: 'https://a.example/v1', status: 529, state: 'aborted', latency_ms: 2000, ttfb_ms: 500, exchange: 'x' }), base);
    expect(row).toMatchObject({ kind: 'POST', title: 'POST https://a.example/v1', note: '529 · aborted · 2 s', tone: 'error', t: 5, mid: 5e8 + 5, end: 2e9 + 5 });
  });

  it('stay on one line and never trust a field', () => {
    expect(stdio(0, 'a\r\n\u001b[1mb').title).toBe('a [1mb');
    for (const source of ['process', 'http', 'sse', 'stdio', 'tls', 'probe', 'loss', 'log', 'unheard-of']) {
      expect(() => toRow(event(source, 0, { event: 5, status: 'x', argv: 'no', latency_ms: null, payload: {} }), base)).not.toThrow();
    }
  });
});

describe('filter', () => {
  const row = exchange(0, 10, 404);
  it.each([
    ['', true], ['example', true], ['EXAMPLE get', true], ['example nothing', false], ['-nothing', true], ['-example', false],
    ['source:http', true], ['source:sse', false], ['pid:7', true], ['pid:70', false], ['comm:age', true], ['status:404', true], ['is:error', true], ['kind:post', false],
    ['"GET https"', true], ['-"GET https"', false],
  ])('%s', (text, expected) => {
    expect(compileFilter(text, null).matches(row)).toBe(expected);
  });

  it('splits words and sources', () => {
    expect(words('a "b c" -d:"e f"')).toEqual(['a', 'b c', '-d:e f']);
    expect(parseSources('http,nope,sse')).toEqual(new Set(['http', 'sse']));
    expect(parseSources('nope')).toBeNull();
    expect(compileFilter('', new Set(['sse'])).matches(row)).toBe(false);
  });
});

describe('process table and lanes', () => {
  const processEvent = (at: number, process: string, data: Record<string, unknown>): ApiEvent => ({ ...event('process', at, data, process), pid: Number(process.slice(1)) });

  function family(): ProcessTable {
    const table = new ProcessTable(base);
    table.apply(processEvent(0, 'p1', { event: 'EXEC', ppid: 1, parent: 'init', filename: '/bin/agent', argv: ['agent', '-x'], cwd: '/', uid: 0 }));
    table.apply(processEvent(20e6, 'p3', { event: 'FORK', ppid: 1, parent: 'p1' }));
    table.apply(processEvent(10e6, 'p2', { event: 'FORK', ppid: 1, parent: 'p1' }));
    table.apply(processEvent(11e6, 'p4', { event: 'FORK', ppid: 2, parent: 'p2' }));
    table.apply(processEvent(30e6, 'p2', { event: 'EXIT', exit_code: 3, signal: null, duration_ms: 20, peak_rss_bytes: 5 }));
    return table;
  }

  it('orders depth first by start, folds, and knows outcomes', () => {
    const table = family();
    expect(table.rows(new Set()).map((row) => [row.node.key, row.depth])).toEqual([['p1', 0], ['p2', 1], ['p4', 2], ['p3', 1]]);
    expect(table.rows(new Set(['p2'])).map((row) => row.node.key)).toEqual(['p1', 'p2', 'p3']);
    expect(table.get('p2')).toMatchObject({ exitCode: 3, end: 30e6, peakRssBytes: 5 });
  });

  it('takes the start of a process seen only at its end from its duration', () => {
    const table = new ProcessTable(base);
    table.apply(processEvent(50e6, 'p9', { event: 'EXIT', exit_code: 0, signal: null, duration_ms: 40 }));
    expect(table.get('p9')).toMatchObject({ start: 10e6, end: 50e6 });
  });

  it('gives each process a life bar and a lane for each source it has, and finds what is under the pointer', () => {
    const store = new EventStore();
    const one = exchange(10e6, 50);
    const two = stdio(40e6);
    store.add([one, two]);
    const layout = layOutLanes({ rows: family().rows(new Set()), stores: [store], sources: null });
    const [group] = layout.groups;
    expect(group?.lanes.map((lane) => lane.source)).toEqual(['http', 'stdio']);
    expect(layout.groups[1]?.y).toBe(group?.height);
    expect(layout.groups[1]?.height).toBe(LIFE_HEIGHT);
    expect(groupAt(layout, layout.height + 1)).toBe(-1);
    expect(visibleGroups(layout, 0, 10).map((item) => item.tree.node.key)).toEqual(['p1']);

    const at = (x: number, y: number) => hitTest({ layout, scale: new TimeScale({ from: 0, to: 100e6 }, 100), filter: compileFilter('', null), x, y });
    const [http, chunks] = group?.lanes ?? [];
    expect(at(30, (http?.y ?? 0) + 2)?.row).toBe(one);
    expect(at(90, (http?.y ?? 0) + 2)?.row).toBeNull();
    expect(at(42, (chunks?.y ?? 0) + 2)?.row).toBe(two);
    expect(at(30, 2)).toMatchObject({ row: null, group: { tree: { node: { key: 'p1' } } } });
    expect(at(30, 9999)).toBeNull();
  });
});

describe('overview and loss', () => {
  it('counts in columns, never hiding an error', () => {
    const store = new EventStore();
    store.add([stdio(0), stdio(1), exchange(50, 0, 500)]);
    const overview = countColumns([store], compileFilter('', null), { from: 0, to: 100 }, 10);
    expect([...overview.all]).toEqual([2, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    expect(overview.net[5]).toBe(1);
    expect(overview.errors[5]).toBe(1);
    expect(overview.peak).toBe(2);
  });

  it('sums what was lost by stage, largest first', () => {
    const loss = (stage: string, lost: number) => toRow(event('loss', 0, { stage, of: 'tls', cause: 'full', lost, bytes: 0 }), base);
    expect(lossByStage([loss('file', 1), loss('kernel', 5), loss('file', 2)]).map(({ stage, lost }) => [stage, lost])).toEqual([['kernel', 5], ['file', 3]]);
  });
});
