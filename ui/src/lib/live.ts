/**
 * The live stream: connects, reconnects with growing delays, and hands frames
 * on. It does not know what an event means.
 */
import type { LiveFrame } from '../../../src/hub/api.ts';

export const LIVE_PROTOCOL = 'agentsight.live.v1';
const FIRST_DELAY_MS = 400;
const LONGEST_DELAY_MS = 10_000;
/** The hub sends heartbeats; without any sign for this long the connection is dead. */
const SILENCE_MS = 30_000;

/** The part of the browser's WebSocket that is used, so that tests can bring their own. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
  close(): void;
}

export type LiveState = 'connecting' | 'open' | 'waiting';

export interface LiveOptions {
  readonly url: string;
  readonly connect: (url: string, protocol: string) => Socket;
  readonly onFrame: (frame: LiveFrame) => void;
  readonly onState: (state: LiveState) => void;
}

export interface LiveClient {
  readonly retryNow: () => void;
  readonly close: () => void;
}

export function openLive(options: LiveOptions): LiveClient {
  let socket: Socket | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let failures = 0;
  let closed = false;

  const schedule = (run: () => void, delayMs: number): void => {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(run, delayMs);
  };
  const drop = (): void => {
    const old = socket;
    socket = null;
    if (old === null) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close();
  };
  const lost = (): void => {
    drop();
    if (closed) return;
    failures += 1;
    options.onState('waiting');
    schedule(open, retryDelayMs(failures, Math.random()));
  };
  const open = (): void => {
    drop();
    options.onState('connecting');
    const next = options.connect(options.url, LIVE_PROTOCOL);
    socket = next;
    schedule(lost, SILENCE_MS);
    next.onmessage = (event) => {
      const frame = parseFrame(event.data);
      if (frame === null) return;
      if (frame.kind === 'hello') {
        failures = 0;
        options.onState('open');
      }
      schedule(lost, SILENCE_MS);
      options.onFrame(frame);
    };
    next.onclose = lost;
  };
  open();
  return {
    retryNow: () => { if (!closed && socket === null) open(); },
    close: () => {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      drop();
    },
  };
}

/** Doubles up to ten seconds; a random quarter keeps many pages from coming back at once. */
export function retryDelayMs(failures: number, random: number): number {
  const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(10, failures - 1));
  return delay * (0.75 + random * 0.25);
}

export function parseFrame(data: unknown): LiveFrame | null {
  if (typeof data !== 'string') return null;
  try {
    const frame = JSON.parse(data) as { kind?: unknown };
    return frame.kind === 'hello' || frame.kind === 'events' || frame.kind === 'status' || frame.kind === 'heartbeat'
      ? (frame as LiveFrame)
      : null;
  } catch {
    return null;
  }
}
