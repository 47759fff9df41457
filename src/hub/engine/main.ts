/**
 * The embedded engine's process. Reads its options as one line of JSON from
 * stdin, answers on stdout with one line (its port, or why not), and leaves
 * when stdin ends, which it does when the parent is gone however it died.
 *
 * A process of its own because chdb in the hub would starve its thread pool,
 * crash it from a worker thread, and hold its exit until a query ends.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
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
const LEAVE_POLL_MS = 20;

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  const first = await new Promise<string | null>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve(null));
  });
  if (first === null) return;
  // From the start: a parent that is killed while the store is being opened must not leave us behind with it.
  const ended = new Promise<void>((resolve) => {
    lines.once('close', resolve);
    process.once('SIGTERM', resolve);
  });
  // The terminal's Ctrl-C reaches the whole process group; only the parent decides when we end.
  process.on('SIGINT', () => undefined);
  const options = JSON.parse(first) as EngineOptions;
  const engine = await open(options);
  await ended;
  leave(engine);
}

interface OpenEngine {
  readonly pool: SessionPool;
  readonly server: Server;
}

async function open(options: EngineOptions): Promise<OpenEngine> {
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
    return { pool, server };
  } catch (error) {
    reply({ failed: 'unusable', message: causeText(error) });
    process.exit(1);
  }
}

function reply(message: EngineReply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** `process.exit` would wait for a query that runs, and no timer could cut that short: so it is only called without one. */
function leave({ pool, server }: OpenEngine): void {
  server.close();
  const deadline = performance.now() + LEAVE_MS;
  const look = (): void => {
    if (pool.running > 0 && performance.now() < deadline) return;
    if (pool.running > 0) process.kill(process.pid, 'SIGKILL');
    pool.close();
    process.exit(0);
  };
  setInterval(look, LEAVE_POLL_MS);
  look();
}

await main();
