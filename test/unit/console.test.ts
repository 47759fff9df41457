import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { PassThrough, Writable } from 'node:stream';
import { describe as group, expect, test } from 'vitest';
import type { Event } from '../../src/event.ts';
import { errnoOf } from '../../src/errors.ts';
import { createConsoleSink, openOutputStream, styleOf } from '../../src/sinks/console.ts';
import { describe, describeLine } from '../../src/sinks/describe.ts';
import { escapeText, fitColumns } from '../../src/sinks/text.ts';
import { chunk, eventBatch, eventOf, everySource, httpData, stdioEvent } from '../helpers/events.ts';
import { tempDir } from '../helpers/files.ts';
import { waitFor } from '../helpers/wait.ts';

const plain = { colour: false, columns: null };

/** The first event of this source, or a further one. */
const sourced = (source: Event['source'], index = 0): Event => everySource().filter((event) => event.source === source)[index] as Event;

group('the sentence of an event', () => {
  test.each<[Event, string]>([
    [eventOf('http', httpData()), 'POST https://api.example.test/v1/messages 200 1.2 s 10 B→0 B'],
    [
      eventOf('http', { ...httpData(), state: 'partial', reason: 'gap of 9 bytes', status: null, latency_ms: null, sse_events: 3 }),
      'POST https://api.example.test/v1/messages no response 10 B→0 B 3 SSE events (partial: gap of 9 bytes)',
    ],
    [stdioEvent(chunk(Buffer.from('{"a":1}\n'))), 'stdout to 77 cat 8 B "{"a":1}\\n"'],
    [stdioEvent({ ...chunk(Buffer.of(0xff, 0xfe, 0, 1)), direction: 'read' }), 'stdout read from 77 cat 4 B 0xfffe0001'],
    [everySource()[1] as Event, "exec /usr/bin/curl -s 'https://example.test/?q=é'"],
    [everySource()[2] as Event, 'killed by SIGKILL after 2 ms'],
    [stdioEvent({ ...chunk(Buffer.alloc(0)), total: 4096, withheld: 4096 }), 'stdout to 77 cat 0 B, 4.1 KB left out ""'],
    [sourced('signal'), 'SIGTERM from 4321 node to 77 sleep'],
    [sourced('signal', 1), 'SIGPIPE from the kernel to 4321 node ignored'],
    [sourced('readline'), '"ls -l"'],
    [sourced('system'), '3 processes, 152.5 % of a processor, 123.5 MB in memory, 14 threads over the threshold of cpu'],
    [sourced('system', 1), '0 % of a processor, 4.1 KB in memory, 1 thread'],
    [sourced('probe', 1), 'pid 4321 (node) uses io_uring'],
  ])('%#', (event, sentence) => {
    expect(describe(event)).toBe(sentence);
  });

  test('every source has one, on one line', () => {
    for (const event of everySource()) {
      const line = describeLine(event, plain);
      expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} \w+ +4321 node {2}\S/);
      expect(line).not.toContain('\n');
    }
  });
});

group('terminals', () => {
  test('nothing that a traced program wrote reaches the terminal as a control', () => {
    const attack = '\x1b]0;pwned\x07\x9b31m\r\u202eevil\u2066\x7f\0';
    const events: Event[] = [
      stdioEvent(chunk(Buffer.from(attack))), { ...stdioEvent(), comm: attack }, eventOf('log', { level: 'warn', message: attack }),
      eventOf('http', { ...httpData(), url: attack, reason: attack, state: 'partial', method: attack }),
      eventOf('process', { ...(everySource()[1]?.data as never as object), argv: ['x', attack], filename: attack } as never),
    ];
    for (const event of events) expect(describeLine(event, plain)).not.toMatch(/[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
    expect(escapeText('a\x1b[1m\u202e')).toBe('a\\e[1m\\u202e');
  });

  test('a line is cut to the width, counting wide characters twice', () => {
    expect(fitColumns('abcdef', 6)).toBe('abcdef');
    expect(fitColumns('abcdefg', 6)).toBe('abcde…');
    expect(fitColumns('漢字漢字', 6)).toBe('漢字…');
    expect(fitColumns('😀😀😀😀', 5)).toBe('😀😀…');
    const line = describeLine(stdioEvent(chunk(Buffer.from('x'.repeat(500)))), { colour: false, columns: 60 });
    expect(line).toHaveLength(60);
  });

  test('colour only where asked, and never with NO_COLOR', () => {
    expect(describeLine(stdioEvent(), { colour: true, columns: null })).toContain('\x1b[36mstdio');
    expect(describeLine(stdioEvent(), plain)).not.toContain('\x1b');
    expect(styleOf(99).colour).toBe(false);
  });
});

group('the console sink', () => {
  test('spares a terminal what is only read, unless it is asked for; JSONL has everything', async () => {
    const open = { event: 'OPEN', path: '/x', target: null, error: null, flags: ['read'], created: false, mode: null, length: null, uid: null, gid: null, count: 1, span_ms: 0, truncated: false } as const;
    const io = { event: 'IO', path: '/x', read_bytes: 1, read_calls: 1, written_bytes: 0, write_calls: 0, span_ms: 0, truncated: false } as const;
    const spared = [open, { ...open, error: 'ENOENT' }, io];
    const shown = [
      { ...open, error: 'EACCES' }, { ...open, flags: ['write', 'create'], error: 'ENOENT' }, { ...io, write_calls: 1 },
      { ...open, event: 'UNLINK', flags: [], error: 'ENOENT' },
    ] as const;
    const batch = eventBatch([...spared, ...shown].map((data, index) => eventOf('file', data, index)));
    const linesOf = (options: { readonly json: boolean; readonly routine?: boolean }): number => {
      const stream = new PassThrough();
      createConsoleSink({ stream, onClosed: () => {}, ...options }).write(batch);
      return String(stream.read()).trimEnd().split('\n').length;
    };
    expect(linesOf({ json: false })).toBe(shown.length);
    expect(linesOf({ json: false, routine: true })).toBe(shown.length + spared.length);
    expect(linesOf({ json: true })).toBe(shown.length + spared.length);
  });

  test('writes JSONL as it is, and counts', async () => {
    const { stream, text } = collected();
    const sink = createConsoleSink({ stream, json: true, onClosed: () => {} });
    const batch = eventBatch(everySource());
    sink.write(batch);
    await sink.close();
    expect(text()).toBe(batch.jsonl.toString());
    expect(sink.stats().counters).toMatchObject({ events: everySource().length, refused: 0 });
  });

  test('refuses and counts while its reader is stuck, then goes on', async () => {
    let release: (() => void) | undefined;
    const stuck = new Writable({ write: (_chunk, _encoding, done) => void (release = done) });
    const sink = createConsoleSink({ stream: stuck, json: true, onClosed: () => {}, queuedBytes: 300, closeMs: 20 });
    for (let i = 0; i < 10; i++) sink.write(eventBatch([stdioEvent()]));
    const { refused, queued_bytes: queued } = sink.stats().counters;
    expect(refused).toBeGreaterThan(5);
    expect(queued).toBeLessThan(1500);
    const ready = sink.ready?.();
    for (let i = 0; i < 10; i++) {
      release?.();
      await new Promise(setImmediate);
    }
    await ready;
    sink.write(eventBatch([stdioEvent()]));
    expect(sink.stats().counters['refused']).toBe(refused);
    await sink.close();
    await sink.close();
  });

  test('a reader that has left ends it quietly and once', async () => {
    const closed: (string | null)[] = [];
    const stream = new PassThrough();
    const sink = createConsoleSink({ stream, json: true, onClosed: (failure) => closed.push(failure) });
    stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await new Promise(setImmediate);
    sink.write(eventBatch([stdioEvent()]));
    await sink.close();
    expect(closed).toEqual([null]);
    expect(sink.stats().counters['refused']).toBe(0);
  });

  test('a pipe that nobody reads does not hold the thread, and loses nothing when somebody does', async () => {
    const dir = tempDir();
    const fifo = dir.file('fifo');
    execFileSync('mkfifo', [fifo]);
    const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const stream = openOutputStream(fd);
    try {
      const sink = createConsoleSink({ stream, json: true, onClosed: () => {} });
      const batch = eventBatch([stdioEvent(chunk(Buffer.alloc(400_000, 'x')))]);
      sink.write(batch);
      await new Promise(setImmediate);
      expect(stream.writableLength).toBeGreaterThan(0);
      const seen = readUntil(fd, batch.jsonl.length);
      expect(await seen).toEqual(batch.jsonl.length);
      await sink.close();
      expect(sink.stats().counters).toMatchObject({ events: 1, refused: 0 });
    } finally {
      stream.destroy();
      closeSync(fd);
      dir.remove();
    }
  });
});

function collected() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(bytes: Buffer, _encoding, done) {
      chunks.push(bytes);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

/** Reads a descriptor that does not block until that many bytes have come. */
async function readUntil(fd: number, bytes: number): Promise<number> {
  const buffer = Buffer.alloc(65_536);
  let seen = 0;
  await waitFor('the reader of the pipe to see everything', () => {
    try {
      seen += readSync(fd, buffer);
    } catch (cause) {
      if (errnoOf(cause) !== 'EAGAIN') throw cause;
    }
    return seen >= bytes;
  });
  return seen;
}
