/**
 * Compressed messages of one direction (RFC 7692 §7.2): one stream of deflate over all messages, or one for each.
 * Every message is inflated to its end, kept or not: the next may refer to it.
 */
import { createInflateStage } from '../coding/inflate.ts';
import type { CodingEnvironment } from '../coding/decoder.ts';
import type { Stage } from '../coding/stage.ts';

/** Takes output as a view, valid during the call. */
type Take = (bytes: Buffer) => void;

export interface Inflater {
  readonly environment: CodingEnvironment;
  /** Each message begins with an empty window. */
  readonly resets: boolean;
  stage: Stage | null;
  charged: number;
  /** Why this message, and without resets all later ones, cannot be decoded. */
  fault: string | null;
  /** Of the message: bytes in and out. */
  inputBytes: number;
  outputBytes: number;
  isBomb: boolean;
}

/** Left out at the end of each message. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
/** Input is decoded in steps of this size, at multiples of it, so that a bomb is one however the input is split. */
const STEP_BYTES = 4096;

export function createInflater(environment: CodingEnvironment, resets: boolean): Inflater {
  return { environment, resets, stage: null, charged: 0, fault: null, inputBytes: 0, outputBytes: 0, isBomb: false };
}

export function beginMessage(inflater: Inflater): void {
  inflater.inputBytes = 0;
  inflater.outputBytes = 0;
  if (inflater.fault !== null && !inflater.resets) return;
  inflater.fault = null;
  if (inflater.stage !== null) return;
  const { decoders, counters } = inflater.environment;
  const stage = createInflateStage('raw');
  if (decoders.used + stage.memoryBytes() > decoders.limit) {
    counters.add('coding_memory_full');
    inflater.fault = 'coding: too many bodies are being decoded';
    return;
  }
  inflater.stage = stage;
  inflater.charged = stage.memoryBytes();
  decoders.used += inflater.charged;
}

/** Gives what the bytes tell; after a fault, nothing. */
export function inflate(inflater: Inflater, bytes: Buffer, take: Take): void {
  for (let at = 0; at < bytes.length && inflater.stage !== null;) {
    const end = Math.min(bytes.length, at + STEP_BYTES - (inflater.inputBytes % STEP_BYTES));
    inflater.inputBytes += end - at;
    push(inflater, bytes.subarray(at, end), take);
    at = end;
  }
}

export function endMessage(inflater: Inflater, take: Take): void {
  if (inflater.stage !== null) push(inflater, TAIL, take);
  if (inflater.resets) close(inflater);
}

/** Bytes of a compressed message are not there. */
export function loseContext(inflater: Inflater, reason: string): void {
  inflater.fault ??= reason;
  close(inflater);
}

/** Frees its memory. Safe twice. */
export function close(inflater: Inflater): void {
  inflater.stage?.close();
  inflater.stage = null;
  inflater.environment.decoders.used -= inflater.charged;
  inflater.charged = 0;
}

function push(inflater: Inflater, bytes: Buffer, take: Take): void {
  const { counters, limits } = inflater.environment;
  const steps = Math.ceil(inflater.inputBytes / STEP_BYTES);
  const most = Math.max(limits.codingOutputBytes, steps * STEP_BYTES * limits.codingRatio);
  let isBomb = false;
  const failed = inflater.stage?.push(bytes, (output) => {
    const room = most - inflater.outputBytes;
    inflater.outputBytes += output.length;
    isBomb = output.length > room;
    take(isBomb ? output.subarray(0, room) : output);
    return !isBomb;
  }) ?? null;
  if (!isBomb && failed === null) return;
  counters.add(isBomb ? 'coding_bombs' : 'coding_damaged');
  inflater.isBomb ||= isBomb;
  loseContext(inflater, isBomb ? 'coding: its data is out of all proportion to what was sent' : `coding: deflate ${failed ?? ''}`);
}
