/**
 * Decodes a body of its content codings (RFC 9110 §8.4.1): any number of them one
 * over another, at any split, and at once: what the bytes so far tell is given
 * before the call returns. Whatever carries bodies can use it.
 *
 * Output is bounded twice: whoever takes it may say enough, and where it is out of
 * proportion to its input it is taken for a decompression bomb.
 */
import { createBase64Stage } from './base64.ts';
import { createBrotliStage } from './brotli.ts';
import { createInflateStage } from './inflate.ts';
import { type Give, type Stage } from './stage.ts';
import { createZstdStage } from './zstd.ts';

export interface CodingLimits {
  readonly codingsPerBody: number;
  readonly codingRatio: number;
  readonly codingOutputBytes: number;
}

export const CODING_COUNTERS = ['coding_damaged', 'coding_unknown', 'coding_bombs', 'coding_memory_full'] as const;
export type CodingCounter = (typeof CODING_COUNTERS)[number];

export interface CodingEnvironment {
  readonly limits: CodingLimits;
  readonly counters: { add(counter: CodingCounter, by?: number): void };
  /** Memory of all decoders. */
  readonly decoders: { readonly limit: number; used: number };
}

export interface Decoder {
  /** Coding names in the order in which they were applied: `gzip`, `gzip, br`. */
  readonly names: string;
  /** Why nothing more is decoded, or null; begins with `coding: `. */
  readonly fault: string | null;
  /** Gives what the bytes tell. After a fault, or when `give` had enough, nothing. */
  push(bytes: Buffer, give: Give): void;
  /** No more input comes: is that the end of the data? */
  end(): void;
  /** Frees its memory. Safe twice. */
  close(): void;
}

/** No content coding: the type of a body says it. */
export const GRPC_WEB_TEXT = 'grpc-web-text';

/** Input is decoded in steps of this size, at multiples of it. */
const STEP_BYTES = 4096;

interface Link {
  readonly name: string;
  readonly stage: Stage;
}

interface State {
  readonly environment: CodingEnvironment;
  readonly names: readonly string[];
  /** In order of decoding; made at the first byte. */
  links: Link[];
  fault: string | null;
  closed: boolean;
  inputBytes: number;
  outputBytes: number;
  charged: number;
}

const STAGES: Readonly<Record<string, () => Stage>> = {
  gzip: () => createInflateStage('gzip'),
  'x-gzip': () => createInflateStage('gzip'),
  deflate: () => createInflateStage('zlib or raw'),
  br: createBrotliStage,
  zstd: createZstdStage,
  [GRPC_WEB_TEXT]: createBase64Stage,
};

/** What the values of a header name, `identity` left out. */
export function codingsOf(values: readonly string[] | undefined): readonly string[] {
  if (values === undefined) return [];
  return values.flatMap((value) => value.split(',')).map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && name !== 'identity');
}

export function createDecoder(environment: CodingEnvironment, names: readonly string[]): Decoder {
  const state: State = {
    environment, names, links: [], fault: null, closed: false, inputBytes: 0, outputBytes: 0, charged: 0,
  };
  return {
    names: names.join(', '),
    get fault() {
      return state.fault;
    },
    push: (bytes, give) => push(state, bytes, give),
    end: () => finish(state),
    close: () => close(state),
  };
}

function push(state: State, bytes: Buffer, give: Give): void {
  if (state.closed || bytes.length === 0) return;
  if (state.inputBytes === 0 && !open(state)) return;
  for (let at = 0; at < bytes.length && !state.closed;) {
    const end = Math.min(bytes.length, at + STEP_BYTES - (state.inputBytes % STEP_BYTES));
    state.inputBytes += end - at;
    pushLink(state, 0, bytes.subarray(at, end), give);
    at = end;
  }
  if (!state.closed) charge(state);
}

function open(state: State): boolean {
  const { names, environment } = state;
  const unknown = names.find((name) => !(name in STAGES));
  if (unknown !== undefined) return fail(state, 'coding_unknown', `${unknown.slice(0, 40)} is not known`);
  if (names.length > environment.limits.codingsPerBody) return fail(state, 'coding_unknown', `${names.length} codings one over another`);
  state.links = names.toReversed().map((name) => ({ name, stage: (STAGES[name] as () => Stage)() }));
  return true;
}

/** Returns whether to go on. */
function pushLink(state: State, index: number, bytes: Buffer, give: Give): boolean {
  const link = state.links[index];
  if (link === undefined) {
    if (!state.closed && !give(bytes)) close(state);
    return !state.closed;
  }
  const failed = link.stage.push(bytes, (output) => {
    const room = roomOf(state);
    // Counted for every link, so that a bomb within a bomb is one, too.
    state.outputBytes += output.length;
    if (output.length <= room) return pushLink(state, index + 1, output, give);
    pushLink(state, index + 1, output.subarray(0, room), give);
    return fail(state, 'coding_bombs', 'its data is out of all proportion to what was sent');
  });
  if (failed !== null && !state.closed) fail(state, 'coding_damaged', `${link.name} ${failed}`);
  return !state.closed;
}

/** How much more may come out. By whole steps of input, so that it is the same however the input is split. */
function roomOf({ environment, inputBytes, outputBytes }: State): number {
  const { codingOutputBytes, codingRatio } = environment.limits;
  const steps = Math.ceil(inputBytes / STEP_BYTES);
  return Math.max(0, Math.max(codingOutputBytes, steps * STEP_BYTES * codingRatio) - outputBytes);
}

function charge(state: State): void {
  const { decoders } = state.environment;
  let bytes = 0;
  for (const { stage } of state.links) bytes += stage.memoryBytes();
  decoders.used += bytes - state.charged;
  state.charged = bytes;
  if (decoders.used > decoders.limit) fail(state, 'coding_memory_full', 'too many bodies are being decoded');
}

function finish(state: State): void {
  if (state.closed) return;
  const cut = state.links.find(({ stage }) => !stage.whole());
  if (cut !== undefined) fail(state, 'coding_damaged', `${cut.name} data ends early`);
  close(state);
}

function fail(state: State, counter: CodingCounter, reason: string): false {
  if (state.closed) return false;
  state.fault = `coding: ${reason}`;
  state.environment.counters.add(counter);
  close(state);
  return false;
}

function close(state: State): void {
  if (state.closed) return;
  state.closed = true;
  state.environment.decoders.used -= state.charged;
  state.charged = 0;
  for (const { stage } of state.links) stage.close();
  state.links = [];
}
