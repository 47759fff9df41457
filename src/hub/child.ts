/**
 * Entry of the hub's own process: options as JSON in the environment (a store's
 * URL may hold a password, and everybody can read a command line), log on
 * stderr, which the parent pointed at hub.log. A failure to start is the log's
 * last line, as JSON, for the parent to show.
 */
import { fstatSync, ftruncateSync } from 'node:fs';
import { AgentsightError, causeText } from '../errors.ts';
import { HUB_OPTIONS_VARIABLE, type ChildFailure, type ChildOptions } from './child-options.ts';
import { runHub } from './main.ts';

/** The log of many runs; at it the log begins anew, so that a hub of months does not fill the disk. */
const LOG_MAX_BYTES = 8 * 1024 * 1024;

async function main(): Promise<void> {
  process.umask(0o077);
  const log = openLog();
  const options = JSON.parse(process.env[HUB_OPTIONS_VARIABLE] ?? '{}') as ChildOptions;
  // The engine and whatever else is started must not see a store's password either.
  delete process.env[HUB_OPTIONS_VARIABLE];
  try {
    const hub = await runHub({ ...options, log });
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => void hub.close());
    }
    await hub.closed;
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${JSON.stringify({ pid: process.pid, failed: describe(error) } satisfies ChildFailure)}\n`);
    process.exit(error instanceof AgentsightError ? error.exitCode : 1);
  }
}

/** stderr is hub.log, opened for appending. */
function openLog(): (text: string) => void {
  const facts = fstatSync(2);
  let sizeBytes = facts.isFile() ? facts.size : 0;
  return (text) => {
    const line = `${new Date().toISOString()} ${text}\n`;
    if (facts.isFile() && sizeBytes > LOG_MAX_BYTES) {
      ftruncateSync(2);
      sizeBytes = 0;
    }
    sizeBytes += Buffer.byteLength(line);
    process.stderr.write(line);
  };
}

function describe(error: unknown): ChildFailure['failed'] {
  if (!(error instanceof AgentsightError)) return { code: null, message: causeText(error) };
  return { code: error.code, message: error.message, hint: error.hint, detail: error.detail };
}

await main();
