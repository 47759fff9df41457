import { execFileSync } from 'node:child_process';
import {
  appendFileSync, chownSync, closeSync, existsSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseLine } from '../../src/event-parse.ts';
import { createJsonlSink, type JsonlOptions } from '../../src/sinks/jsonl.ts';
import { chunk, eventBatch, stdioEvent } from '../helpers/events.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { itAsRoot } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

let dir: TempDir;
let notices: string[];
beforeEach(() => {
  dir = tempDir();
  notices = [];
});
afterEach(() => dir.remove());

function sinkAt(path: string, options: Partial<JsonlOptions> = {}) {
  return createJsonlSink({ path, onNotice: (message) => notices.push(message), ...options });
}

const numbered = (from: number, count: number, payload = 'x') =>
  eventBatch(Array.from({ length: count }, (_, i) => stdioEvent(chunk(Buffer.from(payload)), from + i)));

function sequences(...paths: string[]): number[] {
  return paths.flatMap((path) =>
    readFileSync(path, 'utf8').split('\n').slice(0, -1).map((line) => Number(parseLine(line).id.split('.').at(-1))));
}

describe('the file', () => {
  test('holds every event in order, is private, and is appended to', async () => {
    const path = dir.file('trace.jsonl');
    for (const from of [0, 500]) {
      const sink = sinkAt(path);
      for (let i = 0; i < 5; i++) sink.write(numbered(from + i * 100, 100));
      await sink.close();
      await sink.close();
      expect(sink.stats().counters).toMatchObject({ events: 500, refused: 0, queued_bytes: 0 });
    }
    expect(sequences(path)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(notices).toEqual([]);
  });

  itAsRoot('a file that root creates for a user belongs to that user, one that was there keeps its owner', async () => {
    const created = dir.file('created.jsonl');
    await sinkAt(created, { owner: { uid: 65534, gid: 65534 } }).close();
    expect(statSync(created)).toMatchObject({ uid: 65534, gid: 65534 });
    const existing = dir.file('existing.jsonl');
    writeFileSync(existing, '');
    chownSync(existing, 1, 1);
    await sinkAt(existing, { owner: { uid: 65534, gid: 65534 } }).close();
    expect(statSync(existing)).toMatchObject({ uid: 1, gid: 1 });
  });

  test('half a line of a killed writer does not swallow our first one', async () => {
    const path = dir.file('cut.jsonl');
    writeFileSync(path, '{"timestamp":1,"sour');
    const sink = sinkAt(path);
    sink.write(numbered(1, 1));
    await sink.close();
    const [cut, whole] = readFileSync(path, 'utf8').split('\n');
    expect(cut).toBe('{"timestamp":1,"sour');
    expect(parseLine(whole ?? '').pid).toBe(4321);
  });

  test.each<[string, (path: string) => void, RegExp]>([
    ['a symbolic link', (path) => symlinkSync('/etc/hostname', path), /symbolic link/],
    ['a hard link', (path) => (writeFileSync(`${path}.other`, ''), linkSync(`${path}.other`, path)), /several names/],
    ['a directory', (path) => mkdirSync(path), /directory/],
    ['a FIFO', (path) => void execFileSync('mkfifo', [path]), /not a regular file/],
  ])('%s is refused with the reason', (_, make, reason) => {
    const path = dir.file('out');
    make(path);
    expect(() => sinkAt(path)).toThrowError(expect.objectContaining({ code: 'OUTPUT_UNWRITABLE', message: expect.stringMatching(reason) }));
  });

  test('devices, /dev/stdout and missing directories are refused with a hint', () => {
    for (const path of ['/dev/null', '/dev/stdout', dir.file('no/such/dir/out')]) {
      expect(() => sinkAt(path)).toThrowError(expect.objectContaining({ code: 'OUTPUT_UNWRITABLE', hint: expect.any(String) }));
    }
  });
});

describe('rotation', () => {
  test('turns the file over between batches, keeps the newest, loses nothing that is kept', async () => {
    const path = dir.file('r.jsonl');
    const batchBytes = numbered(100, 10).jsonl.length;
    const sink = sinkAt(path, { rotateBytes: batchBytes * 2 + 10, rotateKeep: 2 });
    for (let i = 0; i < 10; i++) sink.write(numbered(100 + i * 10, 10));
    await sink.close();
    expect(sequences(`${path}.2`, `${path}.1`, path)).toEqual(Array.from({ length: 60 }, (_, i) => 140 + i));
    expect(existsSync(`${path}.3`)).toBe(false);
    expect(sink.stats().counters).toMatchObject({ events: 100, rotations: 4 });
    expect(statSync(`${path}.1`).mode & 0o777).toBe(0o600);
  });

  test('a rotation that cannot be done is said once and the file grows on', async () => {
    const path = dir.file('r.jsonl');
    mkdirSync(`${path}.1`);
    writeFileSync(`${path}.1/inside`, '');
    const sink = sinkAt(path, { rotateBytes: 1, rotateKeep: 1 });
    for (let i = 0; i < 5; i++) sink.write(numbered(i, 1));
    await sink.close();
    expect(sequences(path)).toEqual([0, 1, 2, 3, 4]);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(/could not rotate/);
  });
});

describe('a disk that cannot keep up', () => {
  test('what exceeds the queue is refused whole and counted', async () => {
    const path = dir.file('slow.jsonl');
    const sink = sinkAt(path, { queuedBytes: numbered(100, 10).jsonl.length * 3 });
    for (let i = 0; i < 10; i++) sink.write(numbered(100 + i * 10, 10));
    const { refused } = sink.stats().counters;
    await sink.close();
    expect(refused).toBe(70);
    expect(sequences(path)).toEqual(Array.from({ length: 30 }, (_, i) => 100 + i));
  });

  test('a source that waits for ready() loses nothing', async () => {
    const path = dir.file('ready.jsonl');
    const sink = sinkAt(path, { queuedBytes: numbered(100, 10).jsonl.length * 4 });
    for (let i = 0; i < 50; i++) {
      await sink.ready();
      sink.write(numbered(i * 10, 10));
    }
    await sink.close();
    expect(sequences(path)).toHaveLength(500);
    expect(sink.stats().counters['refused']).toBe(0);
  });

  itAsRoot('a full disk is said once, leaves whole lines, loses what exceeds the queue, and resumes', async () => {
    const mount = dir.file('small');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount]);
    try {
      const path = `${mount}/trace.jsonl`;
      const filler = `${mount}/filler`;
      const sink = sinkAt(path, { queuedBytes: 200_000, retryMs: 20 });
      sink.write(numbered(0, 10));
      await waitFor('the first batch', () => sink.stats().counters['events'] === 10);
      fill(filler);
      for (let i = 1; i < 40; i++) sink.write(numbered(i * 10, 10, 'y'.repeat(1000)));
      await waitFor('a failed write', () => (sink.stats().counters['failures'] ?? 0) > 3);
      expect(notices).toHaveLength(1);
      expect(notices[0]).toMatch(/no space left/);
      expect(readFileSync(path, 'utf8').endsWith('}\n')).toBe(true);
      const { refused } = sink.stats().counters;
      expect(refused).toBeGreaterThan(0);
      rmSync(filler);
      await waitFor('the queue to be written', () => sink.stats().counters['queued_bytes'] === 0);
      expect(notices[1]).toMatch(new RegExp(`again; ${refused} events were lost`));
      await sink.close();
      expect(sequences(path)).toEqual(Array.from({ length: 400 - (refused ?? 0) }, (_, i) => i));
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });

  itAsRoot('closing on a full disk counts what it still held', async () => {
    const mount = dir.file('full');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount]);
    try {
      const sink = sinkAt(`${mount}/trace.jsonl`, { retryMs: 20 });
      fill(`${mount}/filler`);
      sink.write(numbered(0, 10));
      await sink.close();
      expect(sink.stats().counters).toMatchObject({ events: 0, refused: 10 });
      expect(notices.at(-1)).toMatch(/last 10 events/);
    } finally {
      execFileSync('umount', ['-l', mount]);
    }
  });
});

/** Writes until the file system refuses. */
function fill(path: string): void {
  closeSync(openSync(path, 'w'));
  try {
    for (;;) appendFileSync(path, Buffer.alloc(4096, 1));
  } catch {
    // Full: what the test wanted.
  }
}
