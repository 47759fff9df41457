// @ts-check
/**
 * The programs that run from dist/. Each is one file with the parts that it
 * loads later, or shares, beside it: Node takes a millisecond for each module,
 * and a trace would begin by importing two hundred. Packages stay where npm put
 * them; only RxJS comes along, as the few of its parts that we use.
 */
import { defineConfig } from 'rolldown';

/** By folder of dist/: programs that share no parts with another folder's, which would be cut into more of them. */
const PROGRAMS = {
  src: { 'cli/main': 'src/cli/main.ts', 'hub/child': 'src/hub/child.ts', 'hub/engine/main': 'src/hub/engine/main.ts' },
  // What `npm run bench`, `npm run fuzz` and `npm run docs` start.
  test: { 'bench/main': 'test/bench/main.ts', 'bench/fuzz': 'test/bench/fuzz.ts', 'command-line': 'src/cli/command-line.ts' },
};

export default defineConfig(Object.entries(PROGRAMS).map(([folder, input]) => ({
  input,
  platform: 'neutral',
  external: /^(?![./]|rxjs)/,
  // For Node, RxJS offers only CommonJS, of which nothing can be left out.
  resolve: { conditionNames: ['es2015', 'import', 'default'] },
  transform: { target: 'es2023' },
  output: {
    dir: `dist/${folder}`,
    cleanDir: true,
    format: 'esm',
    sourcemap: true,
    chunkFileNames: 'parts/[name]-[hash].js',
  },
})));
