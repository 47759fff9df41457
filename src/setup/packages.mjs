// @ts-check
/**
 * What the machine itself must have: Debian packages, fetched by apt-get when
 * we may, else named in the one command to run. On other systems the same
 * things are looked for by their files.
 */
import { existsSync } from 'node:fs';
import { withLock } from './lock.mjs';
import { SetupError, isRoot, onPath, outputOf, run, say } from './shell.mjs';

const APT_LOCK_SECONDS = 300;

/** To build the addon and to run it. */
const RUN_PACKAGES = ['libbpf-dev', 'libelf-dev', 'zlib1g-dev', 'make', 'python3', 'g++', 'util-linux'];

/** To compile the BPF programs and to be traced by the tests. */
const TEST_PACKAGES = ['clang-19', 'llvm-19', 'bpftool', 'chromium', 'curl', 'openssl', 'python3', 'sudo', 'qemu-system-x86', 'busybox-static', 'android-libboringssl', 'libssl-dev',
  'golang', 'golang-github-gorilla-websocket-dev', 'cargo', 'rustc', 'librust-rustls-dev', 'librust-rustls-pemfile-dev', 'binutils', 'nginx-light', 'wrk', 'libgnutls28-dev',
  'libmbedtls-dev', 'openjdk-17-jre-headless',
  'gnutls-bin', 'wget', 'libnss3-tools', 'ruby', 'perl', 'libnet-ssleay-perl', 'php-cli'];

/** @type {readonly { what: string, found: () => boolean }[]} */
const RUN_NEEDS = [
  { what: 'libbpf with its headers', found: () => header('bpf/libbpf.h') },
  { what: 'libelf with its headers', found: () => header('libelf.h') },
  { what: 'zlib with its headers', found: () => header('zlib.h') },
  { what: 'make', found: () => onPath('make') },
  { what: 'python3', found: () => onPath('python3') },
  { what: 'a C++20 compiler (g++)', found: () => onPath('g++') },
  { what: 'setpriv (util-linux)', found: () => onPath('setpriv') },
];

/** @type {typeof RUN_NEEDS} */
const TEST_NEEDS = [
  ...['clang-19', 'llvm-strip-19', 'chromium', 'curl', 'openssl', 'sudo', 'go', 'objdump', 'nginx', 'wrk'].map((what) => ({ what, found: () => onPath(what) })),
  ...['gnutls-cli', 'wget', 'tstclnt', 'certutil', 'ruby', 'perl', 'php', 'keytool'].map((what) => ({ what, found: () => onPath(what) })),
  { what: 'gorilla/websocket of Go', found: () => existsSync('/usr/share/gocode/src/github.com/gorilla/websocket') },
  { what: 'qemu-system-x86_64', found: () => process.arch !== 'x64' || onPath('qemu-system-x86_64') },
  { what: 'bpftool', found: () => onPath('bpftool') || existsSync('/usr/sbin/bpftool') },
];

/** @param {{ test: boolean }} options */
export async function ensurePackages({ test }) {
  const wanted = [...new Set(test ? [...RUN_PACKAGES, ...TEST_PACKAGES] : RUN_PACKAGES)];
  const missing = missingHere(wanted);
  if (missing === undefined) return requireByFile(test ? [...RUN_NEEDS, ...TEST_NEEDS] : RUN_NEEDS);
  if (missing.length === 0) return;
  // Set-ups of other checkouts want the same packages, and apt-get does not wait for itself.
  await withLock('/var/lib/dpkg', 'another set-up to install its Debian packages', async () => {
    const still = missingHere(wanted) ?? [];
    if (still.length > 0) await install(still);
  });
}

/**
 * undefined on a system without dpkg and apt-get.
 *
 * @param {readonly string[]} wanted
 */
function missingHere(wanted) {
  const installed = outputOf('dpkg-query', ['-W', '-f=${db:Status-Abbrev}${binary:Package}\\n', ...wanted]);
  return installed === undefined || !onPath('apt-get') ? undefined : missingPackages(wanted, installed);
}

/**
 * @param {readonly string[]} wanted
 * @param {string} installed lines of `ii package:arch`
 */
export function missingPackages(wanted, installed) {
  const present = new Set(
    installed.split('\n').filter((line) => line.startsWith('ii')).map((line) => line.slice(2).trim().split(':')[0]),
  );
  return wanted.filter((name) => !present.has(name));
}

/** @param {readonly string[]} missing */
async function install(missing) {
  // Other programs use apt too, such as a machine's own updates at its start.
  const apt = ['apt-get', 'install', '-y', '--no-install-recommends', '-o', `DPkg::Lock::Timeout=${APT_LOCK_SECONDS}`, ...missing];
  const byHand = `sudo apt-get update && sudo ${apt.join(' ')}`;
  const prefix = privilegePrefix();
  if (prefix === undefined) {
    throw new SetupError(
      `could not install ${missing.join(', ')}: that needs root, and sudo is not here or would have to ask for a password`,
      `as root, run: ${byHand.replaceAll('sudo ', '')}`,
    );
  }
  say(`missing Debian packages: ${missing.join(' ')}`);
  // Old lists may still name what is needed, and a machine without a network may have it in its cache: the install decides.
  await run({
    name: 'refreshing the package lists', command: command(prefix, ['apt-get', 'update']), advice: byHand,
  }).catch((error) => say(`! ${error.message}; going on with the lists at hand`));
  await run({
    name: `installing ${missing.length === 1 ? missing[0] : `${missing.length} Debian packages`}`,
    command: command(prefix, apt),
    advice: `run it by hand and see what apt says: ${byHand}\nDebian 12 or later has all of them; clang-19 is in bookworm since 12.10`,
  });
}

/**
 * @param {readonly string[]} prefix
 * @param {readonly string[]} args
 * @returns {readonly [string, ...string[]]}
 */
function command(prefix, args) {
  // Given as arguments of env, since sudo drops the environment. At run level 1 no service (nginx) is started that a package brings.
  return ['env', ...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', ...args];
}

/** How to become root: not at all, by sudo, or undefined. */
function privilegePrefix() {
  if (isRoot()) return [];
  if (!onPath('sudo')) return undefined;
  if (process.stdin.isTTY === true) return ['sudo'];
  return outputOf('sudo', ['-n', 'id', '-u'])?.trim() === '0' ? ['sudo', '-n'] : undefined;
}

/** @param {typeof RUN_NEEDS} needs */
function requireByFile(needs) {
  const missing = needs.filter(({ found }) => !found()).map(({ what }) => what);
  if (missing.length === 0) return;
  throw new SetupError(
    `could not find ${missing.join(', ')}: this system has no apt-get, so it cannot be installed from here`,
    'install them with your package manager, then run this again',
  );
}

/** @param {string} name */
function header(name) {
  return ['/usr/include', '/usr/local/include'].some((folder) => existsSync(`${folder}/${name}`));
}
