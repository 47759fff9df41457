// @ts-check
/**
 * The programs that run from dist/. Each is one file with the parts that it
 * loads later, or shares, beside it: Node takes a millisecond for each module,
 * and a trace would begin by importing two hundred. Packages stay where npm put
 * them, but for the two that every trace begins with: of RxJS the few parts that we
 * use, and commander, since Node's loader of CommonJS alone takes 40 ms.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'rolldown';

/** By folder of dist/: programs that share no parts with another folder's, which would be cut into more of them. */
const PROGRAMS = {
  src: { 'cli/main': 'src/cli/main.ts', 'hub/child': 'src/hub/child.ts', 'hub/engine/main': 'src/hub/engine/main.ts' },
  // What `npm run bench`, `npm run fuzz` and `npm run docs` start.
  test: { 'bench/main': 'test/bench/main.ts', 'bench/fuzz': 'test/bench/fuzz.ts', 'command-line': 'src/cli/command-line.ts' },
};

export default defineConfig(Object.entries(PROGRAMS).map(([folder, input]) => ({
  input,
  platform: 'node',
  external: /^(?![./]|rxjs$|commander$)/,
  // What it offers to Node is CommonJS, of which nothing can be left out.
  resolve: { alias: { rxjs: fileURLToPath(new URL('node_modules/rxjs/dist/esm/index.js', import.meta.url)) } },
  transform: { target: 'es2023' },
  output: {
    dir: `dist/${folder}`,
    cleanDir: true,
    format: 'esm',
    sourcemap: true,
    chunkFileNames: 'parts/[name]-[hash].js',
  },
})));
