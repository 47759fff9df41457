/** Brotli (RFC 7932). The decoder is WebAssembly, so its memory is freed by hand. */
import { brotli } from './libraries.ts';
import { AFTER_END, DAMAGED, type Give, type Stage, bufferOf } from './stage.ts';

type Library = ReturnType<typeof brotli>;
type DecompressStream = InstanceType<Library['DecompressStream']>;

const OUTPUT_BYTES = 64 * 1024;
const TABLES_BYTES = 128 * 1024;

interface State {
  readonly library: Library;
  stream: DecompressStream | null;
  windowBytes: number;
  outputBytes: number;
  ended: boolean;
}

export function createBrotliStage(): Stage {
  const state: State = { library: brotli(), stream: null, windowBytes: 0, outputBytes: 0, ended: false };
  const close = (): void => {
    state.stream?.free();
    state.stream = null;
  };
  return {
    push(bytes, give) {
      if (state.stream === null) {
        state.stream = new state.library.DecompressStream();
        state.windowBytes = windowOf(bytes[0] ?? 0);
      }
      return state.ended ? AFTER_END : decompress(state, bytes, give);
    },
    whole: () => state.ended,
    // Its window grows with what was written to it.
    memoryBytes: () => (state.stream === null ? 0 : TABLES_BYTES + Math.min(state.windowBytes, 2 * state.outputBytes)),
    close,
  };
}

/** Its input is copied at every call; a decoder's step is small enough for that. */
function decompress(state: State, bytes: Buffer, give: Give): string | null {
  const { ResultSuccess, NeedsMoreOutput } = state.library.BrotliStreamResultCode;
  let input = bytes;
  for (;;) {
    const result = step(state.stream as DecompressStream, input);
    if (result === null) return DAMAGED;
    state.outputBytes += result.output.length;
    if (result.output.length > 0 && !give(result.output)) return null;
    if (result.code === ResultSuccess) state.ended = true;
    input = input.subarray(result.consumed);
    if (state.ended && input.length > 0) return AFTER_END;
    if (result.code !== NeedsMoreOutput) return null;
  }
}

function step(stream: DecompressStream, input: Buffer): { code: number; output: Buffer; consumed: number } | null {
  try {
    const result = stream.decompress(input, OUTPUT_BYTES);
    const done = { code: result.code, output: bufferOf(result.buf), consumed: result.input_offset };
    result.free();
    return done;
  } catch {
    // Its only failure is that of the data.
    return null;
  }
}

/** WBITS of the stream's header (RFC 7932 §9.1). */
function windowOf(first: number): number {
  if ((first & 1) === 0) return 1 << 16;
  const high = (first >> 1) & 7;
  if (high !== 0) return 1 << (17 + high);
  const low = (first >> 4) & 7;
  return 1 << (low === 0 ? 17 : 8 + low);
}
