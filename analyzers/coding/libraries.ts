/**
 * The decoders of others, loaded at the first body that needs one: most runs never do,
 * and a trace begins after what it loads. By `require`, because that is synchronous, and
 * brotli-wasm as an ES module would fetch itself over the network, as pages do.
 */
import { createRequire } from 'node:module';
import type * as BrotliWasm from 'brotli-wasm';
import type * as Fzstd from 'fzstd';
import type * as Pako from 'pako';

export type { Decompress } from 'fzstd';
export type { ZStream } from 'pako';

const load = createRequire(import.meta.url);

export const pako = (): typeof Pako => load('pako') as typeof Pako;
export const fzstd = (): typeof Fzstd => load('fzstd') as typeof Fzstd;
export const brotli = (): typeof BrotliWasm => load('brotli-wasm') as typeof BrotliWasm;
