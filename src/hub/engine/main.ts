/**
 * The embedded engine's process. Reads its options as one line of JSON from
 * stdin, answers on stdout with one line (its port, or why not), and leaves
 * when stdin ends, which it does when the parent is gone however it died.
 *
 * A process of its own because chdb in the hub would starve its thread pool,
 * crash it from a worker thread, and hold its exit until a query ends.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { causeText } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { engineConfigXml } from './config.ts';
import { createEngineServer } from './http.ts';
import type { EngineOptions, EngineReply } from './process.ts';
import { SessionPool } from './sessions.ts';

/** A query may run on while we want to leave; the store is safe against a kill, so it is cut short. */
const LEAVE_MS = 2000;

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  const first = await new Promise<string | null>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve(null));
  });
  if (first === null) return;
  // The terminal's Ctrl-C reaches the whole process group; only the parent decides when we end.
  process.on('SIGINT', () => undefined);
  const options = JSON.parse(first) as EngineOptions;
  const close = await open(options);
  lines.once('close', () => leave(close));
  process.once('SIGTERM', () => leave(close));
}

async function open(options: EngineOptions): Promise<() => void> {
  const chdb = await import('chdb').catch((error: unknown) => {
    reply({ failed: 'missing', message: causeText(error) });
    process.exit(1);
  });
  try {
    mkdirSync(options.path, { recursive: true, mode: 0o700 });
    const configFile = join(options.path, '..', 'engine.xml');
    writeFileSync(configFile, engineConfigXml(options), { mode: 0o600 });
    const connectionArgs = [`--config-file=${configFile}`, '--output_format_json_quote_64bit_integers=1'];
    const pool = new SessionPool({
      open: () => new chdb.Session(options.path, { connectionArgs }),
      concurrency: LIMITS.engineConcurrency,
      waiting: LIMITS.engineWaiting,
    });
    // Opens the store now: a broken or locked one must be known before the port is.
    await pool.use(false, (session) => session.queryAsync('SELECT 1'));
    const server = createEngineServer({ user: options.user, key: options.key, pool, bodyLimitBytes: LIMITS.engineBodyBytes });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    reply({ port: (server.address() as AddressInfo).port });
    return () => {
      server.close();
      pool.close();
    };
  } catch (error) {
    reply({ failed: 'unusable', message: causeText(error) });
    process.exit(1);
  }
}

function reply(message: EngineReply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function leave(close: () => void): void {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), LEAVE_MS).unref();
  close();
  process.exit(0);
}

await main();
