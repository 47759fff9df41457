import { createClient, ClickHouseError, ClickHouseLogLevel, type ClickHouseClient } from '@clickhouse/client';
import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineProcess, type EngineAddress, type EngineOptions } from '../../src/hub/engine/process.ts';
import { compiledEntry } from '../../src/hub/entries.ts';
import { ofSource, readEvents } from '../helpers/cli.ts';
import { ROOT, tempDir, type TempDir } from '../helpers/files.ts';
import { waitFor } from '../helpers/wait.ts';
import { FREE_DISK_BYTES } from './support.ts';

const dir = tempDir();
let engine: EngineProcess;
let address: EngineAddress;
let client: ClickHouseClient;
const downs: string[] = [];

function connect(options: { readonly key?: string; readonly gzip?: boolean } = {}): ClickHouseClient {
  return createClient({
    url: address.url,
    username: address.user,
    password: options.key ?? address.key,
    compression: { request: options.gzip ?? false, response: options.gzip ?? false },
    log: { level: ClickHouseLogLevel.OFF },
  });
}

async function rows<T>(query: string, parameters: Record<string, unknown> = {}): Promise<T[]> {
  const result = await client.query({ query, query_params: parameters, format: 'JSONEachRow' });
  return result.json<T>();
}

async function failureOf(promise: Promise<unknown>): Promise<ClickHouseError> {
  const error: unknown = await promise.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ClickHouseError);
  return error as ClickHouseError;
}

beforeAll(async () => {
  engine = new EngineProcess({
    path: dir.file('store'),
    mergedPartBytes: 64 * 1024 * 1024,
    freeDiskBytes: FREE_DISK_BYTES,
    onUp: (up) => {
      address = up;
    },
    onDown: (reason) => downs.push(reason),
    log: () => undefined,
  });
  await engine.start();
  client = connect();
});

afterAll(async () => {
  await client.close();
  await engine.close();
  dir.remove();
});

describe('the embedded engine, through the unmodified client', () => {
  test('answers a ping and refuses a wrong key with the error of a server', async () => {
    expect(await client.ping()).toEqual({ success: true });
    const stranger = connect({ key: 'wrong' });
    const error = await failureOf(stranger.query({ query: 'SELECT 1' }));
    expect(error.code).toBe('516');
    expect(error.type).toBe('AUTHENTICATION_FAILED');
    await stranger.close();
  });

  test('gives 64-bit integers whole', async () => {
    expect(await rows('SELECT toUInt64(18446744073709551615) AS big, toInt64(-9223372036854775808) AS small'))
      .toEqual([{ big: '18446744073709551615', small: '-9223372036854775808' }]);
  });

  test('binds parameters as a server does', async () => {
    const text = "it's \\ a\ttab\nand a line ' OR 1=1";
    expect(await rows('SELECT {text:String} AS text, {list:Array(String)} AS list, {big:UInt64} AS big', { text, list: ["a'b", 'c\\d'], big: '18446744073709551615' }))
      .toEqual([{ text, list: ["a'b", 'c\\d'], big: '18446744073709551615' }]);
  });

  test('keeps settings and parameters within their request', async () => {
    const result = await client.query({ query: "SELECT getSetting('max_threads') AS value", format: 'JSONEachRow', clickhouse_settings: { max_threads: 7 } });
    expect(await result.json()).toEqual([{ value: 7 }]);
    const after = await Promise.all(Array.from({ length: 20 }, () => rows<{ value: number }>("SELECT getSetting('max_threads') AS value")));
    expect(after.flat().every(({ value }) => value !== 7)).toBe(true);
    await rows('SELECT {leak:String}', { leak: 'x' });
    expect((await failureOf(rows('SELECT {leak:String}'))).code).toBe('456');
  });

  test('drops a block whose token it knows, and only that', async () => {
    await client.command({ query: 'CREATE TABLE tokens (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100' });
    const insert = (n: number, token: string): Promise<unknown> =>
      client.insert({ table: 'tokens', values: [{ n }], format: 'JSONEachRow', clickhouse_settings: { insert_deduplication_token: token } });
    await insert(1, 'a');
    await insert(1, 'a');
    await insert(2, 'b');
    await insert(2, 'c');
    expect(await rows('SELECT n FROM tokens ORDER BY n')).toEqual([{ n: '1' }, { n: '2' }, { n: '2' }]);
  });

  test('stores bytes that are no UTF-8 as they are', async () => {
    await client.command({ query: 'CREATE TABLE bytes (s String) ENGINE = MergeTree ORDER BY tuple()' });
    const body = Buffer.concat([Buffer.from('{"s":"'), Buffer.from([0xff, 0x00 + 0x80, 0xfe]), Buffer.from('\\u0000é"}\n')]);
    await client.exec({ query: 'INSERT INTO bytes (s) FORMAT JSONEachRow', values: Readable.from([body], { objectMode: false }) });
    expect(await rows('SELECT hex(s) AS hex FROM bytes')).toEqual([{ hex: 'FF80FE00C3A9' }]);
  });

  test('compresses both ways', async () => {
    const gzip = connect({ gzip: true });
    await gzip.command({ query: 'CREATE TABLE zipped (s String) ENGINE = MergeTree ORDER BY tuple()' });
    await gzip.insert({ table: 'zipped', values: [{ s: 'a'.repeat(100_000) }], format: 'JSONEachRow' });
    const result = await gzip.query({ query: 'SELECT s FROM zipped', format: 'JSONEachRow' });
    expect(result.response_headers['content-encoding']).toBe('gzip');
    expect(await result.json()).toEqual([{ s: 'a'.repeat(100_000) }]);
    await gzip.close();
  });

  test('types its errors', async () => {
    const codes: [string, string, string][] = [
      ['SELEC 1', '62', 'SYNTAX_ERROR'],
      ['SELECT * FROM nowhere', '60', 'UNKNOWN_TABLE'],
      ['SELECT unknown_column', '47', 'UNKNOWN_IDENTIFIER'],
    ];
    for (const [query, code, type] of codes) {
      expect(await failureOf(client.query({ query }))).toMatchObject({ code, type });
    }
    expect((await failureOf(client.query({ query: 'SELECT 1', clickhouse_settings: { no_such_setting: 1 } as never }))).code).toBe('115');
  });

  test('names what it does not do', async () => {
    expect(await failureOf(client.query({ query: 'SELECT 1', session_id: 's' }))).toMatchObject({ code: '48', type: 'NOT_IMPLEMENTED' });
  });

  test('ends a query whose client went away', async () => {
    const gone = new AbortController();
    const marked = "SELECT 'marked query', count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))";
    const running = async (): Promise<number> =>
      (await rows("SELECT 1 FROM system.processes WHERE query LIKE '%marked query%' AND query NOT LIKE '%system.processes%'")).length;
    const query = client.query({ query: marked, abort_signal: gone.signal }).catch(() => undefined);
    await waitFor('the query to run', async () => (await running()) === 1);
    gone.abort();
    await query;
    await waitFor('the query to end', async () => (await running()) === 0);
    // A session that was cancelled would give its leftovers to the next query.
    const next = await Promise.all(Array.from({ length: 10 }, (_, n) => rows<{ n: number }>('SELECT {n:UInt8} AS n', { n })));
    expect(next.flat().map(({ n }) => n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await rows('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('writes to the disk before it answers', async () => {
    const settings = await rows<{ name: string; value: string }>(`SELECT name, value FROM system.merge_tree_settings
WHERE name IN ('fsync_after_insert', 'fsync_part_directory', 'min_rows_to_fsync_after_merge') ORDER BY name`);
    expect(settings.map(({ value }) => value)).toEqual(['1', '1', '1']);
  });

  // Last: it takes the engine down.
  test('is started again after a kill, under a new key', async () => {
    const before = address;
    process.kill(before.pid, 'SIGKILL');
    await waitFor('the restart', () => address.pid !== before.pid);
    expect(downs).toEqual(['the engine ended (SIGKILL)']);
    expect(address.key).not.toBe(before.key);
    await client.close();
    client = connect();
    expect(await rows('SELECT count() AS n FROM tokens')).toEqual([{ n: '3' }]);
  });
});

describe('an engine whose parent is gone', () => {
  /** The bare process, whose stdin is the parent's life. */
  function startBare(): { readonly child: ChildProcessWithoutNullStreams; readonly path: TempDir } {
    const path = tempDir();
    const child = spawn(process.execPath, [compiledEntry('src/hub/engine/main')]);
    const options: EngineOptions = { path: path.file('store'), user: 'u', key: 'k', mergedPartBytes: 1e6, freeDiskBytes: 1e6 };
    child.stdin.write(`${JSON.stringify(options)}\n`);
    return { child, path };
  }

  async function expectGone({ child, path }: ReturnType<typeof startBare>): Promise<void> {
    try {
      await waitFor('the engine to leave', () => child.exitCode !== null || child.signalCode !== null);
    } finally {
      child.kill('SIGKILL');
      path.remove();
    }
  }

  test('while it opens the store leaves, and does not keep the store locked', async () => {
    const bare = startBare();
    bare.child.stdin.end();
    await expectGone(bare);
  });

  test('leaves while a query runs', async () => {
    const bare = startBare();
    const line = await new Promise<string>((resolve) => createInterface({ input: bare.child.stdout }).once('line', resolve));
    const { port } = JSON.parse(line) as { port: number };
    const ask = (sql: string): Promise<string> =>
      fetch(`http://127.0.0.1:${port}/?user=u&password=k`, { method: 'POST', body: sql }).then((response) => response.text(), String);
    const running = ask("SELECT 'endless', count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))");
    await waitFor('the query to run', async () => (await ask("SELECT count() FROM system.processes WHERE query LIKE '%endless%' AND query NOT LIKE '%system.processes%'")).trim() === '1');
    bare.child.stdin.end();
    await expectGone(bare);
    await running;
  });
});

test('an installation without chdb says so, and what works without it', async () => {
  const bare = tempDir();
  try {
    for (const path of ['package.json', 'bin', 'dist/src']) cpSync(join(ROOT, path), bare.file(path), { recursive: true });
    mkdirSync(bare.file('node_modules'));
    for (const name of readdirSync(join(ROOT, 'node_modules')).filter((entry) => entry !== 'chdb')) {
      symlinkSync(join(ROOT, 'node_modules', name), bare.file(join('node_modules', name)));
    }
    const serve = [bare.file('bin/agentsight-ts.mjs'), 'serve', '--data-dir', bare.file('data'), '--server-port', '0'];
    const failed = await promisify(execFile)(process.execPath, serve).then(() => null, (error: unknown) => error as { readonly stderr: string });
    expect(failed?.stderr).toMatch(/chdb.*hint:.*npm install chdb.*--no-hub.*--store URL/s);
    // What is said to work without it does.
    const replay = [bare.file('bin/agentsight-ts.mjs'), 'replay', '-q', '-o', bare.file('out.jsonl'), join(ROOT, 'test/captures/demo.jsonl')];
    const replayed = await promisify(execFile)(process.execPath, replay);
    expect(replayed.stderr).toContain('replayed');
    expect(ofSource(readEvents(bare.file('out.jsonl')), 'http').length).toBeGreaterThan(0);
  } finally {
    bare.remove();
  }
});
