/** What the tests use of build-bpf.mjs. */

/** What a build leaves, below the folder that it is given. */
export declare const OUTPUTS: readonly string[];
export declare function buildBpf(bpfDir: string, outDir: string): void;
