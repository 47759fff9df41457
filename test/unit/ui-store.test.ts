import { describe, expect, it } from 'vitest';
import type { ApiEvent } from '../../src/hub/api.ts';
import { EventStore } from '../../ui/src/lib/event-store.ts';
import { compileFilter, parseSources, words } from '../../ui/src/lib/filter.ts';
import { hitTest } from '../../ui/src/lib/hit.ts';
import { LIFE_HEIGHT, groupAt, layOutLanes, visibleGroups } from '../../ui/src/lib/lanes.ts';
import { eachMark } from '../../ui/src/lib/marks.ts';
import { lossByStage } from '../../ui/src/lib/loss.ts';
import { countColumns } from '../../ui/src/lib/overview.ts';
import { ProcessTable } from '../../ui/src/lib/process-table.ts';
import { ROW_SOURCES, type Row, toRow } from '../../ui/src/lib/row.ts';
import { TimeBase } from '../../ui/src/lib/time-base.ts';
import { MAX_DEPTH, type Track } from '../../ui/src/lib/track.ts';
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
    expect([0, 1, 2].map((index) => store.track('p1', 'http')?.depthOf(index))).toEqual([0, 1, 0]);
    store.add(Array.from({ length: 20 }, (_, index) => exchange(30e6 + index, 1000)));
    expect(store.track('p1', 'http')?.depth).toBe(MAX_DEPTH);
  });
});

describe('marks of a lane', () => {
  const everything = compileFilter('', null);
  const scale = new TimeScale({ from: 0, to: 1000 }, 100);
  const second = (rows: readonly Row[]): readonly Row[] => rows.filter((_, index) => index % 2 === 1);

  function trackOf(...batches: readonly (readonly Row[])[]): Track {
    const store = new EventStore();
    for (const batch of batches) {
      store.add(batch);
      // Asked for between the batches, so that what is kept from before is put to the test.
      store.track('p1', batch[0]?.source ?? 'stdio')?.lines(everything);
    }
    return store.track('p1', batches[0]?.[0]?.source ?? 'stdio') as Track;
  }

  function marks(track: Track, kind: 'all' | 'errors' = 'all'): Row[] {
    return track.lines(everything).flatMap((line) => {
      const found: Row[] = [];
      eachMark(line[kind], scale, (index) => {
        const row = track.rows[index] as Row;
        found.push(row);
        return Math.max(scale.toPx(row.end), Math.floor(scale.toPx(row.t)) + 1);
      });
      return found;
    });
  }

  it('are one a pixel column, however many events there are', () => {
    const rows = Array.from({ length: 20_000 }, (_, index) => stdio(index / 10));
    const drawn = marks(trackOf(rows));
    expect(drawn.length).toBeGreaterThanOrEqual(100);
    expect(drawn.length).toBeLessThanOrEqual(110);
    expect(new Set(drawn.map((row) => Math.floor(scale.toPx(row.t)))).size).toBe(drawn.length);
  });

  it('never hide an error behind what surrounds it', () => {
    const errors = [exchange(333, 0, 500), exchange(777, 0, 404)];
    const track = trackOf([...Array.from({ length: 3000 }, (_, index) => exchange(index / 3, 0)), ...errors]);
    expect(marks(track, 'errors')).toEqual(errors);
  });

  it('include what began before the window and reaches into it', () => {
    const long = exchange(-5000, 0.0055);
    expect(long.end).toBe(500);
    expect(marks(trackOf([long, exchange(-10, 0), exchange(900, 0)]))).toContain(long);
  });

  it('are the same whatever the order of arrival', () => {
    const rows = [0, 15, 30, 45, 60, 75, 90].map((at) => exchange(at * 10, 0.0002));
    const whole = marks(trackOf(rows));
    expect(whole).toHaveLength(7);
    expect(marks(trackOf(second(rows), rows))).toEqual(whole);
    expect(marks(trackOf(rows.slice(3), rows.slice(0, 3)))).toEqual(whole);
  });

  it('are only those that match the filter, also when more arrive', () => {
    const store = new EventStore();
    const filter = compileFilter('wanted', null);
    const matching = (): number[] => {
      const track = store.track('p1', 'stdio') as Track;
      const { all } = track.lines(filter)[0] as ReturnType<Track['lines']>[number];
      return Array.from({ length: all.length }, (_, position) => (track.rows[all.indexAt(position)] as Row).t);
    };
    store.add([stdio(10, 'wanted'), stdio(20), stdio(30, 'wanted')]);
    expect(matching()).toEqual([10, 30]);
    store.add([stdio(40, 'wanted'), stdio(5, 'wanted'), stdio(25)]);
    expect(matching()).toEqual([5, 10, 30, 40]);
    expect(store.matching(filter).rows.map((row) => row.t)).toEqual([5, 10, 30, 40]);
    expect(store.matching(filter)).toBe(store.matching(filter));
  });
});

describe('rows', () => {
  it('a process that speaks TLS unseen is a warning with its reason', () => {
    const reason = 'speaks TLS to a.example by a library that was not recognised';
    const row = toRow(event('probe', 5, { path: '/opt/agent', status: 'unseen', library: null, reason }), base);
    expect(row).toMatchObject({ kind: 'unseen', title: `no TLS plaintext: ${reason}`, tone: 'warn' });
  });

  it('say what an exchange did', () => {
    const row = toRow(event('http', 5, { method: 'POST', url: 'https://a.example/v1', status: 529, state: 'aborted', latency_ms: 2000, ttfb_ms: 500, exchange: 'x' }), base);
    expect(row).toMatchObject({ kind: 'POST', title: 'POST https://a.example/v1', note: '529 · aborted · 2 s', tone: 'error', t: 5, mid: 5e8 + 5, end: 2e9 + 5 });
  });

  it('say of an event of a stream how long after its request it came, where that was captured', () => {
    expect(toRow(event('sse', 0, { event: 'a', data: 'x', index: 3, since_request_ms: 2 }), base).note).toBe('#3 · +2 ms');
    expect(toRow(event('sse', 0, { event: 'a', data: 'x', index: 3, since_request_ms: null }), base).note).toBe('#3');
  });

  it('say on the bar of an exchange where it went', () => {
    const label = (url: string): unknown => toRow(event('http', 0, { method: 'GET', url, status: 200, sse_events: 4 }), base).http;
    expect(label('https://a.example:8443/v1/x?key=1#y')).toEqual({ host: 'a.example:8443', path: '/v1/x', status: 200, streamed: 4 });
    expect(label('https://a.example')).toMatchObject({ host: 'a.example', path: '/' });
    expect(label('/v1/x?key=1')).toMatchObject({ host: '', path: '/v1/x' });
  });

  it('say what a file event touched, how often, and why not', () => {
    const file = (data: object) => toRow(event('file', 0, { target: null, error: null, flags: [], count: 1, ...data }), base);
    expect(file({ event: 'OPEN', path: '/tmp/a', flags: ['write', 'create'], created: true, count: 3 }))
      .toMatchObject({ kind: 'OPEN', title: '/tmp/a', note: 'created · write create · 3 times', tone: 'plain' });
    expect(file({ event: 'RENAME', path: '/tmp/a', target: '/tmp/b' }).title).toBe('/tmp/a → b');
    expect(file({ event: 'RENAME', path: '/tmp/a', target: '/var/b' }).title).toBe('/tmp/a → /var/b');
    expect(file({ event: 'OPEN', path: '/x', error: 'ENOENT' }).tone).toBe('plain');
    expect(file({ event: 'UNLINK', path: '/x', error: 'EACCES' }).tone).toBe('warn');
    expect(file({ event: 'IO', path: '/x', read_bytes: 2048, read_calls: 2, written_bytes: 0, write_calls: 0 }))
      .toMatchObject({ note: 'read 2 KiB in 2 calls', bytes: 2048 });
  });

  it('say with whom a network event was', () => {
    const endpoint = { family: 'ipv6', local: { address: '::1', port: 5 }, remote: { address: '2001:db8::1', port: 443 }, socket: '7' };
    const net = (data: object) => toRow(event('net', 0, { endpoint, ...data }), base);
    expect(net({ event: 'CONNECT', protocol: 'tcp', host: 'a.example', error: 'ECONNREFUSED', duration_ms: 2 }))
      .toMatchObject({ kind: 'CONNECT', title: 'a.example [2001:db8::1]:443', note: 'ECONNREFUSED · tcp · 2 ms', tone: 'warn' });
    expect(net({ event: 'CLOSE', protocol: 'tcp', host: null, error: null, duration_ms: 1, read_bytes: 10, written_bytes: 1024 }))
      .toMatchObject({ note: 'tcp · 1 ms · 1 KiB out, 10 B in', bytes: 1034 });
    expect(net({ event: 'LISTEN', protocol: 'tcp', error: null }).title).toBe('[::1]:5');
    const dns = { event: 'DNS', name: 'a.example', type: 'A', server: { address: '192.0.2.53', port: 53 }, answers: [{ value: '192.0.2.1' }] };
    expect(net({ ...dns, kind: 'query', code: null }).title).toBe('a.example A?');
    expect(net({ ...dns, kind: 'answer', code: 'NOERROR' })).toMatchObject({ title: 'a.example A 192.0.2.1', note: '192.0.2.53:53' });
    expect(net({ ...dns, kind: 'answer', code: 'NXDOMAIN' })).toMatchObject({ title: 'a.example A NXDOMAIN', tone: 'warn' });
  });

  it('say of a JSON-RPC call what was asked, of whom, and what came of it', () => {
    const call = { kind: 'call', method: 'tools/call', params: '{"name":"search"}', result: '{}', error: null, role: 'client', state: 'complete', latency_ms: 2, peer: { comm: 'server' } };
    expect(toRow(event('mcp', 0, call), base)).toMatchObject({ source: 'mcp', kind: 'tools/call', title: '{"name":"search"}', note: 'to server · 2 ms', tone: 'plain' });
    expect(toRow(event('mcp', 0, { ...call, error: { code: -32601, message: 'no such tool' } }), base)).toMatchObject({ title: 'no such tool', tone: 'error' });
    expect(toRow(event('mcp', 0, { ...call, state: 'aborted', latency_ms: null, peer: null, role: 'server' }), base)).toMatchObject({ note: 'aborted', tone: 'warn' });
  });

  it('say of a WebSocket message which way it went and what it says', () => {
    const message = { direction: 'read', opcode: 'text', body: '{"x":1}', body_encoding: 'utf8', bytes: 2048, state: 'complete', reason: null, exchange: 'c#1' };
    expect(toRow(event('websocket', 0, message), base)).toMatchObject({ kind: 'text', title: '{"x":1}', note: 'in · 2 KiB', tone: 'plain', bytes: 2048, exchange: 'c#1' });
    expect(toRow(event('websocket', 0, { ...message, direction: 'write', opcode: 'binary', body: 'AP8=', body_encoding: 'base64' }), base))
      .toMatchObject({ title: 'AP8=', note: 'out · 2 KiB · base64' });
    expect(toRow(event('websocket', 0, { ...message, opcode: 'close', body: null, bytes: 5, close_code: 1001, close_reason: 'bye' }), base))
      .toMatchObject({ kind: 'close', title: '1001 bye', tone: 'plain' });
    expect(toRow(event('websocket', 0, { ...message, opcode: null, body: null, bytes: 0, state: 'partial', reason: 'gap of 5 bytes' }), base))
      .toMatchObject({ kind: 'end', title: 'gap of 5 bytes', note: 'in · partial', tone: 'warn' });
  });

  it('stay on one line and never trust a field', () => {
    expect(stdio(0, 'a\r\n\u001b[1mb').title).toBe('a [1mb');
    for (const source of [...ROW_SOURCES, 'unheard-of']) {
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
    const overview = countColumns([store.matching(compileFilter('', null))], { from: 0, to: 100 }, 10);
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
