/**
 * Base64 as gRPC-Web has it in `application/grpc-web-text`: groups of four characters, padded
 * wherever the sender flushed, so that padding may be in the middle.
 */
import { DAMAGED, type Stage } from './stage.ts';

const GROUP = 4;
/** One run of groups up to the padding that ends it, if any. */
const RUN = /(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?/y;

export function createBase64Stage(): Stage {
  /** Of the group that is not whole. */
  let rest = '';
  return {
    push(bytes, give) {
      const all = rest + bytes.toString('latin1');
      const text = all.slice(0, all.length - (all.length % GROUP));
      rest = all.slice(text.length);
      for (RUN.lastIndex = 0; RUN.lastIndex < text.length;) {
        const run = RUN.exec(text)?.[0] ?? '';
        if (run === '') return DAMAGED;
        if (!give(Buffer.from(run, 'base64'))) return null;
      }
      return null;
    },
    whole: () => rest === '',
    memoryBytes: () => GROUP,
    close() {},
  };
}
