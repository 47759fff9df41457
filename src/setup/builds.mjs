// @ts-check
/**
 * What is built from what, and which of it is stale. A build is fresh when the
 * contents of its inputs are those it was made from: their digest lies in a
 * stamp beside the output. Modification times are not asked, because a git
 * checkout changes them at will; reading all inputs takes some 20 ms.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT, run } from './shell.mjs';

/**
 * @typedef {object} Build
 * @property {string} name
 * @property {string} script of package.json
 * @property {readonly string[]} inputs files and folders
 * @property {(path: string) => boolean} [only] of the files in those folders
 * @property {readonly string[]} outputs that must be there
 * @property {string} stamp
 * @property {string} advice
 */

/** @type {readonly Build[]} */
export const BUILDS = [
  {
    name: 'building the native addon',
    script: 'build:native',
    inputs: ['native', 'bpf/prebuilt', 'bpf/event.h', 'bpf/counters.h', 'bpf/shared.h', 'binding.gyp'],
    outputs: ['build/Release/agentsight.node', 'build/Release/agentsight-launcher'],
    // node-gyp empties this folder first: a build that failed half-way leaves no stamp.
    stamp: 'build/.stamp-native',
    advice: 'run `npm run build:native` to see all of its output; it needs g++ with C++20, libbpf-dev and libelf-dev',
  },
  {
    name: 'bundling TypeScript',
    script: 'build:ts',
    inputs: ['src', 'analyzers', 'test/bench', 'test/programs', 'test/helpers', 'rolldown.config.mjs', 'package-lock.json'],
    only: (path) => path.endsWith('.ts') || path.endsWith('.json'),
    outputs: ['dist/src/cli/main.js'],
    stamp: 'dist/.stamp-ts',
    advice: 'run `npm run build:ts` to see every complaint',
  },
  {
    name: 'building the page',
    script: 'build:ui',
    inputs: ['ui', 'src/hub/api.ts', 'package-lock.json'],
    outputs: ['dist/ui/index.html'],
    stamp: 'dist/.stamp-ui',
    advice: 'run `npm run build:ui` to see all of its output',
  },
];

/** @param {readonly Build[]} [builds] */
export async function buildStale(builds = BUILDS) {
  for (const build of builds) {
    const digest = digestOf(build);
    if (isFresh(build, digest)) continue;
    rmSync(join(ROOT, build.stamp), { force: true });
    await run({
      name: build.name,
      command: ['npm', 'run', '--silent', build.script],
      env: nodeHeaders(),
      advice: build.advice,
      asOwner: true,
    });
    mkdirSync(dirname(join(ROOT, build.stamp)), { recursive: true });
    // Taken before the build: an input that changed meanwhile makes it stale again.
    writeFileSync(join(ROOT, build.stamp), `${digest}\n`);
  }
}

/**
 * @param {Build} build
 * @param {string} digest
 */
function isFresh(build, digest) {
  const stamp = join(ROOT, build.stamp);
  return build.outputs.every((path) => existsSync(join(ROOT, path))) && existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === digest;
}

/** @param {Build} build */
export function digestOf(build) {
  const hash = createHash('sha256');
  // The addon is bound to Node's ABI and to the machine's C library; the rest does not mind a rebuild.
  hash.update(`${process.versions.modules} ${process.arch} ${build.script}\n`);
  for (const path of build.inputs.flatMap((input) => filesUnder(input))) {
    if (build.only !== undefined && !build.only(path)) continue;
    hash.update(`${path}\0`).update(readFileSync(join(ROOT, path))).update('\0');
  }
  return hash.digest('hex');
}

/**
 * Files, sorted, so that a digest does not depend on the order of a folder.
 *
 * @param {string} path
 * @returns {string[]}
 */
function filesUnder(path) {
  const facts = statSync(join(ROOT, path), { throwIfNoEntry: false });
  if (facts === undefined) return [];
  if (!facts.isDirectory()) return [path];
  return readdirSync(join(ROOT, path), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    .filter((file) => !file.includes('node_modules/') && !file.endsWith('.md'))
    .sort();
}

/**
 * Node's own archives carry their headers: with them node-gyp has nothing to
 * download.
 */
function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath));
  if (process.env.npm_config_nodedir !== undefined) return {};
  const version = join(prefix, 'include/node/node_version.h');
  const major = process.versions.node.split('.')[0];
  if (!existsSync(version) || !readFileSync(version, 'utf8').includes(`NODE_MAJOR_VERSION ${major}\n`)) return {};
  return { npm_config_nodedir: prefix };
}
