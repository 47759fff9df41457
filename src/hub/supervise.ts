/**
 * Keeps a hub running while a trace needs it. A hub that was killed is started
 * again under its old port and token; one that ended by itself or by
 * `serve --stop` was meant to, and stays ended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { causeText } from '../errors.ts';
import { readHubFile } from './hub-file.ts';
import { isProcessOf } from './processes.ts';
import { ensureHub, type EnsureHubOptions, type RunningHub } from './spawn.ts';

export interface SuperviseHubOptions extends EnsureHubOptions {
  /** It runs again, perhaps under another address. */
  readonly onRestart?: ((hub: RunningHub) => void) | undefined;
}

export interface SupervisedHub {
  /** The hub as it is now. */
  readonly current: RunningHub;
  /** Stops watching; the hub lives on. Safe twice. */
  close(): void;
}

const WATCH_MS = 500;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;

/** Throws what ensureHub throws when the first start fails. */
export async function superviseHub(options: SuperviseHubOptions): Promise<SupervisedHub> {
  let current = await ensureHub(options);
  const ended = new AbortController();
  watch().catch(() => undefined);
  return {
    get current() {
      return current;
    },
    close: () => ended.abort(),
  };

  async function watch(): Promise<void> {
    let backoffMs = BACKOFF_FIRST_MS;
    for (;;) {
      await pause(WATCH_MS);
      if (isProcessOf(current.pid, options.user.uid)) {
        backoffMs = BACKOFF_FIRST_MS;
        continue;
      }
      const file = readHubFile(options.dataDir, options.user.uid);
      // A clean end removes its file.
      if (file === null) continue;
      try {
        current = await ensureHub({ ...options, port: current.port });
        options.onRestart?.(current);
      } catch (error) {
        options.onNotice?.(causeText(error));
        await pause(backoffMs);
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
      }
    }
  }

  /** Rejects, and so ends the watch, when it is closed; does not keep the process alive. */
  function pause(milliseconds: number): Promise<void> {
    return sleep(milliseconds, undefined, { signal: ended.signal, ref: false });
  }
}
