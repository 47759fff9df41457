/**
 * What a guest kernel starts from: busybox, the modules that reach the host's
 * files, and an init script, packed as cpio(5) "newc" without compression.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Debian builds them in or as modules, by version. */
const MODULES = ['virtio_pci', 'virtiofs'];

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly content: Buffer;
}

export function buildInitramfs(modulesFolder: string, script: string): Buffer {
  const folders = ['bin', 'dev', 'host', 'modules', 'proc', 'root', 'sys'];
  return cpio([
    ...folders.map((name) => ({ name, mode: DIRECTORY, content: Buffer.alloc(0) })),
    { name: 'init', mode: PROGRAM, content: Buffer.from(script) },
    { name: 'bin/busybox', mode: PROGRAM, content: readFileSync('/bin/busybox') },
    ...modulesInOrder(modulesFolder).map((content, index) => ({ name: `modules/${String(index).padStart(2, '0')}.ko`, mode: PROGRAM, content })),
  ]);
}

/** Each after those that it depends on, as its own description says; what is built in is left out. */
function modulesInOrder(folder: string): Buffer[] {
  const files = new Map(readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.ko(\.xz)?$/.test(path)).map((path) => [moduleName(path), join(folder, path)]));
  const builtIn = new Set(readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n').map(moduleName));
  const loaded = new Map<string, Buffer>();
  const load = (name: string): void => {
    if (loaded.has(name) || builtIn.has(name)) return;
    const path = files.get(name);
    if (path === undefined) throw new Error(`the kernel has no ${name}, neither in ${folder} nor built in`);
    const content = path.endsWith('.xz') ? execFileSync('xz', ['-dc', path], { maxBuffer: 64 * 1024 * 1024 }) : readFileSync(path);
    for (const needed of dependencies(content)) load(needed);
    loaded.set(name, content);
  };
  for (const name of MODULES) load(name);
  return [...loaded.values()];
}

const moduleName = (path: string): string => basename(path).replace(/\.ko(\.xz)?$/, '').replaceAll('-', '_');

function dependencies(module: Buffer): readonly string[] {
  const mark = '\0depends=';
  const start = module.indexOf(mark) + mark.length;
  const text = module.toString('latin1', start, module.indexOf(0, start));
  return text === '' ? [] : text.split(',').map(moduleName);
}

function cpio(entries: readonly Entry[]): Buffer {
  const trailer = { name: 'TRAILER!!!', mode: 0, content: Buffer.alloc(0) };
  return Buffer.concat([...entries, trailer].flatMap(({ name, mode, content }, index) => {
    // inode, mode, uid, gid, links, time, size, device, special device, length of the name, checksum
    const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`);
    return [head, padding(head.length), content, padding(content.length)];
  }));
}

const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
