export declare const FAMILIES: readonly string[];
export declare const MACHINES: Readonly<Record<string, string>>;
/** Compiles the sources in `bpfDir` for every machine into `outDir`/<machine>/. */
export declare function buildBpf(bpfDir: string, outDir: string): void;
