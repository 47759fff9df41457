// @ts-check
/**
 * The kernels that Debian's users run, fetched as packages by apt-get into a
 * cache folder and unpacked there: nothing is installed.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { SetupError, outputOf, run } from './shell.mjs';

/**
 * @typedef {object} KernelLine
 * @property {string} name as `6.1`
 * @property {RegExp} package what its packages are called; the newest one is taken
 */

/** Oldest first. Builds change weekly, so none is named here. @type {readonly KernelLine[]} */
export const KERNEL_LINES = [
  { name: '6.1', package: /^linux-image-6\.1\.[\w.-]+-cloud-amd64$/ },
  { name: '6.12', package: /^linux-image-6\.12\.[\d.]+\+deb\d+-cloud-amd64$/ },
];

/** @typedef {{ image: string, modules: string }} Kernel the file to boot, and the folder of its modules */

/**
 * The newest kernel of a line that apt-get can fetch, or else the newest in
 * the cache.
 *
 * @param {KernelLine} line
 * @returns {Promise<Kernel>}
 */
export async function fetchKernel(line) {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'agentsight-ts/kernels');
  mkdirSync(cache, { recursive: true });
  return withLock(cache, 'another run to fetch its kernels', async () => {
    let newest = newestOf(packagesOnOffer(), line);
    if (newest === undefined && newestOf(readdirSync(cache), line) === undefined) {
      // A fresh machine has no lists of packages yet.
      await run({ name: 'refreshing the package lists', command: ['apt-get', 'update'], advice: 'apt-get update' });
      newest = newestOf(packagesOnOffer(), line);
    }
    if (newest !== undefined && !existsSync(join(cache, newest))) {
      await download(newest, cache).catch((/** @type {unknown} */ error) => {
        // Lists may be older than what the archive still has.
        if (newestOf(readdirSync(cache), line) === undefined) throw error;
      });
    }
    const cached = newestOf(readdirSync(cache), line);
    if (cached === undefined) {
      throw new SetupError(`could not find a Debian kernel of Linux ${line.name}`, 'apt-get update, with Debian 12 and its security updates among the sources');
    }
    return kernelIn(join(cache, cached));
  });
}

/** Names of the kernel packages that apt-get knows. */
function packagesOnOffer() {
  const rows = outputOf('apt-cache', ['search', '--names-only', '^linux-image-[0-9].*-cloud-amd64$']) ?? '';
  return rows.split('\n').map((row) => row.split(' ')[0] ?? '');
}

/**
 * @param {readonly string[]} names
 * @param {KernelLine} line
 */
export function newestOf(names, line) {
  return names.filter((name) => line.package.test(name)).toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

/**
 * @param {string} name
 * @param {string} cache
 */
async function download(name, cache) {
  const folder = mkdtempSync(join(cache, '.download-'));
  try {
    await run({
      name: `fetching ${name}`,
      command: ['sh', '-c', 'cd "$1" && apt-get download "$2" && dpkg -x ./*.deb unpacked', 'sh', folder, name],
      advice: 'apt-get update',
    });
    renameSync(join(folder, 'unpacked'), join(cache, name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} folder an unpacked package
 * @returns {Kernel}
 */
function kernelIn(folder) {
  const only = (/** @type {string} */ path, /** @type {string} */ prefix) => {
    const found = existsSync(path) ? readdirSync(path).find((entry) => entry.startsWith(prefix)) : undefined;
    if (found === undefined) throw new SetupError(`could not find ${prefix}* in ${path}`, `rm -r ${folder}`);
    return join(path, found);
  };
  // Debian 13 moved modules below /usr.
  const modules = [join(folder, 'lib/modules'), join(folder, 'usr/lib/modules')].find((path) => existsSync(path)) ?? folder;
  return { image: only(join(folder, 'boot'), 'vmlinuz-'), modules: only(modules, '') };
}
