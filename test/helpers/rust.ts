/** The programs of test/programs/rust, built by the tests with Debian's compiler and Debian's crates. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programPath, ROOT } from './files.ts';

/** Half a minute of compiling, once per checkout. */
const CACHE = join(ROOT, 'node_modules/.cache/rust');
/** Where Debian's packages of crates put their sources: no network is asked. */
const CARGO_CONFIG = '[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "/usr/share/cargo/registry"\n';

/** Gives the stripped program's path. Does not hold the thread meanwhile: the runner would give the test up. */
export async function buildRust(name: 'rustls-client' | 'rustls-loop'): Promise<string> {
  const source = join(CACHE, 'source');
  const home = join(CACHE, 'home');
  mkdirSync(home, { recursive: true });
  // A copy, beside which cargo may write its lock file; with its times, from which cargo sees that nothing has changed.
  cpSync(programPath('rust'), source, { recursive: true, preserveTimestamps: true });
  writeFileSync(join(home, 'config.toml'), CARGO_CONFIG);
  await promisify(execFile)('/usr/bin/cargo', ['build', '--quiet', '--release', '--offline'], {
    cwd: source,
    // A newer compiler of the user's may come first on PATH.
    env: { ...process.env, RUSTC: '/usr/bin/rustc', CARGO_HOME: home, CARGO_TARGET_DIR: join(CACHE, 'target') },
  });
  return join(CACHE, 'target/release', name);
}
