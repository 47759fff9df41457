/**
 * Zstandard (RFC 8878): frames one after another, skippable ones between them.
 * The library trusts the window that a frame asks for; so every frame's header is
 * read here first. Checksums and dictionaries are not covered.
 */
import { type Decompress, fzstd } from './libraries.ts';
import { DAMAGED, type Give, NOTHING, type Stage, bufferOf } from './stage.ts';
import { type ZstdFrames, createZstdFrames, walkFrames } from './zstd-frames.ts';

/** Tables, and the block that is being read. */
const TABLES_BYTES = 512 * 1024;

/** Leaves the library when no more output is wanted; it has no other way out. */
class Enough extends Error {}

interface State {
  readonly frames: ZstdFrames;
  readonly library: Decompress;
  give: Give;
}

export function createZstdStage(): Stage {
  const state: State = {
    frames: createZstdFrames(),
    library: new (fzstd().Decompress)((bytes) => {
      if (bytes.length > 0 && !state.give(bufferOf(bytes))) throw new Enough();
    }),
    give: () => true,
  };
  return {
    push(bytes, give) {
      state.give = give;
      return pushBytes(state, bytes);
    },
    whole: () => state.frames.place === 'header' && state.frames.gathered.length === 0,
    memoryBytes: () => TABLES_BYTES + state.frames.windowBytes,
    close: () => {},
  };
}

function pushBytes({ frames, library }: State, bytes: Buffer): string | null {
  // What the headers say is held back until a whole header is there.
  const checked = walkFrames(frames, bytes);
  if (typeof checked === 'string') return checked;
  try {
    // The library keeps what it cannot use yet, and the bytes are those of a batch.
    library.push(Buffer.from(checked));
    // It waits for more than a small frame has, unless it is told that there is no more.
    if (frames.place === 'header') library.push(NOTHING, true);
    return null;
  } catch (error) {
    return error instanceof Enough ? null : DAMAGED;
  }
}
