/** The OpenSSL libraries that this machine has installed where the dynamic linker looks by default. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

const DEFAULT_FOLDERS = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/usr/local/lib', '/usr/local/lib64'];
const CONFIG_FOLDER = '/etc/ld.so.conf.d';
/** `libssl.so.3`, `libssl.so.1.1`; not `libssl3.so`, which is NSS. */
const LIBRARY = /^libssl\.so(\.|$)/;
/** Debian and its descendants: /usr/lib/x86_64-linux-gnu. */
const MULTIARCH = /^[a-z0-9_]+-linux-gnu[a-z0-9]*$/;

/** Real paths, each file once. */
export function systemTlsLibraries(): string[] {
  const paths = new Set<string>();
  for (const folder of libraryFolders()) {
    for (const name of entries(folder)) if (LIBRARY.test(name)) addReal(paths, join(folder, name));
  }
  return [...paths];
}

/** Where the dynamic linker looks by default, as far as the system says. */
export function libraryFolders(): Set<string> {
  const folders = new Set<string>(DEFAULT_FOLDERS);
  for (const folder of DEFAULT_FOLDERS) {
    for (const name of entries(folder)) if (MULTIARCH.test(name)) folders.add(join(folder, name));
  }
  for (const name of entries(CONFIG_FOLDER)) {
    if (!name.endsWith('.conf')) continue;
    for (const line of linesOf(join(CONFIG_FOLDER, name))) if (line.startsWith('/')) folders.add(line.trim());
  }
  return folders;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function addReal(paths: Set<string>, path: string): void {
  try {
    paths.add(realpathSync(path));
  } catch {
    // A link that leads nowhere.
  }
}
