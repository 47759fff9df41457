/**
 * The parent's side of the embedded engine: starts its process, learns its
 * port, and starts it again when it dies. Nothing is sent again from here:
 * whoever had a request under way sees it fail and decides.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentsightError } from '../../errors.ts';
import { compiledEntry } from '../entries.ts';

export interface EngineOptions {
  /** Folder of ClickHouse's own files. */
  readonly path: string;
  readonly user: string;
  readonly key: string;
  readonly mergedPartBytes: number;
  readonly freeDiskBytes: number;
}

/** The engine's one line on stdout. */
export type EngineReply =
  | { readonly port: number }
  | { readonly failed: 'missing' | 'unusable'; readonly message: string };

export interface EngineAddress {
  readonly url: string;
  readonly user: string;
  readonly key: string;
  readonly pid: number;
}

export interface EngineProcessOptions {
  readonly path: string;
  readonly mergedPartBytes: number;
  readonly freeDiskBytes: number;
  readonly onUp: (address: EngineAddress) => void;
  readonly onDown: (reason: string) => void;
  readonly log: (text: string) => void;
}

const START_MS = 60_000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 10_000;
/** An engine that ran this long is healthy again: the next restart is quick. */
const HEALTHY_MS = 30_000;
const STOP_MS = 5000;
const UNLOCK_MS = 10_000;
const UNLOCK_POLL_MS = 200;
/** chdb runs each query on a libuv thread; the default of 4 would make a slow one block the rest. */
const ENGINE_THREADS = 16;

class StoreInUse extends AgentsightError {}

export class EngineProcess {
  readonly #options: EngineProcessOptions;
  #child: ChildProcess | null = null;
  #closing = false;
  #backoffMs = BACKOFF_FIRST_MS;
  #timer: NodeJS.Timeout | null = null;
  #restarts = 0;

  constructor(options: EngineProcessOptions) {
    this.#options = options;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Resolves when the engine answers; later deaths are handled by restarts. */
  async start(): Promise<void> {
    const deadline = performance.now() + UNLOCK_MS;
    for (;;) {
      try {
        return await this.#startOnce();
      } catch (error) {
        // The engine of a hub that was killed needs a moment to notice and leave.
        if (!(error instanceof StoreInUse) || this.#closing || performance.now() > deadline) throw error;
        await sleep(UNLOCK_POLL_MS);
      }
    }
  }

  async #startOnce(): Promise<void> {
    if (this.#closing) throw new AgentsightError('STORE_FAILED', 'could not start the embedded store: it is being closed');
    const key = randomBytes(24).toString('hex');
    const user = 'agentsight';
    const child = spawn(process.execPath, [compiledEntry('src/hub/engine/main')], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, UV_THREADPOOL_SIZE: String(ENGINE_THREADS) },
    });
    this.#child = child;
    const said = collectTail(child, this.#options.log);
    const { path, mergedPartBytes, freeDiskBytes } = this.#options;
    // A child that dies at once closes the pipe; its exit says why better than EPIPE does.
    child.stdin?.on('error', () => undefined);
    child.stdin?.write(`${JSON.stringify({ path, user, key, mergedPartBytes, freeDiskBytes } satisfies EngineOptions)}\n`);
    let port: number;
    try {
      port = await waitForPort(child, said);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    const startedAt = performance.now();
    // It may have died between its line and now; `exit` is not emitted twice.
    const onExit = (): void => this.#onExit(child, performance.now() - startedAt);
    if (child.exitCode !== null || child.signalCode !== null) onExit();
    else child.once('exit', onExit);
    if (child.pid !== undefined) this.#options.onUp({ url: `http://127.0.0.1:${port}`, user, key, pid: child.pid });
  }

  #onExit(child: ChildProcess, ranMs: number): void {
    if (this.#child === child) this.#child = null;
    if (this.#closing) return;
    if (ranMs > HEALTHY_MS) this.#backoffMs = BACKOFF_FIRST_MS;
    const how = child.signalCode === null ? `exit code ${child.exitCode}` : child.signalCode;
    this.#options.onDown(`the engine ended (${how})`);
    this.#restartLater();
  }

  #restartLater(): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#restarts += 1;
      this.start().catch((error: unknown) => {
        if (this.#closing) return;
        this.#options.onDown(error instanceof Error ? error.message : String(error));
        this.#restartLater();
      });
    }, this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MAX_MS);
  }

  /** Safe twice. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.stdin?.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(timer);
  }
}

const TAIL_LINES = 20;

/** The engine's stderr goes to the log; its end explains a failed start. */
function collectTail(child: ChildProcess, log: (text: string) => void): () => string {
  const tail: string[] = [];
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      log(`engine: ${line}`);
    });
  }
  return () => tail.join('\n');
}

function waitForPort(child: ChildProcess, said: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, code: 'STORE_FAILED' | 'STORE_ENGINE_MISSING' = 'STORE_FAILED'): void => {
      clearTimeout(timer);
      const Kind = /Cannot lock file/.test(said()) ? StoreInUse : AgentsightError;
      reject(new Kind(code, `could not start the embedded store: ${message}`, {
        detail: said() || undefined,
        hint: code === 'STORE_ENGINE_MISSING' ? ENGINE_MISSING_HINT : undefined,
      }));
    };
    const timer = setTimeout(() => fail(`no answer within ${START_MS / 1000} s`), START_MS);
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code, signal) => fail(`its process ended (${signal ?? `exit code ${code}`})`));
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const reply = parseReply(line);
      if (reply === null) return;
      if ('failed' in reply) {
        fail(explain(reply.message, said()), reply.failed === 'missing' ? 'STORE_ENGINE_MISSING' : 'STORE_FAILED');
        return;
      }
      clearTimeout(timer);
      resolve(reply.port);
    });
  });
}

/** null for what the native library may print of its own. */
function parseReply(line: string): EngineReply | null {
  if (!line.startsWith('{"port":') && !line.startsWith('{"failed":')) return null;
  return JSON.parse(line) as EngineReply;
}

/** chdb says only "Failed to create connection"; the engine's reason is on its stderr. */
function explain(message: string, stderr: string): string {
  const code = /Code: (\d+)\. DB::Exception: ([^\n]*)/.exec(stderr);
  if (code === null) return message;
  if (code[1] === '76') return 'another program has the store open';
  return `${message}: ${code[2]}`;
}

export const ENGINE_MISSING_HINT =
  'the embedded engine is the optional package chdb (Linux with glibc, x64 or arm64, 566 MB): install it with '
  + '`npm install chdb`; a file (-o FILE --no-hub) and a ClickHouse server (--store URL) work without it';
