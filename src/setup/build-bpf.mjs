/**
 * Compiles bpf/*.bpf.c and links them into bpf/prebuilt/<machine>/. Plain
 * JavaScript: runs before anything is built.
 *
 * One object, since loading one means to read the types of the whole kernel:
 * 0.1 to 0.2 s each. Which source a program or map is of is no longer to be
 * seen in it, so a table of that is written too, `members.h`.
 *
 * The output does not depend on where the sources lie: names are relative and
 * the compilation folder that debug information holds is `.`. A test builds
 * again elsewhere and compares with what is committed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const SUFFIX = '.bpf.c';

/** The sources, without `.bpf.c`. */
function sourcesIn(bpfDir) {
  return readdirSync(bpfDir).filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length)).sort();
}

/** Folder of each machine, and the name that libbpf's headers want. */
export const MACHINES = { x86_64: 'x86', arm64: 'arm64' };

const CLANG = process.env.CLANG ?? 'clang-19';
const STRIP = process.env.LLVM_STRIP ?? 'llvm-strip-19';
const READELF = process.env.LLVM_READELF ?? 'llvm-readelf-19';
const BPFTOOL = process.env.BPFTOOL ?? 'bpftool';

const OBJECT = 'agentsight.bpf.o';
const MEMBERS = 'members.h';

/** What a build leaves. */
export const OUTPUTS = [MEMBERS, ...Object.keys(MACHINES).map((machine) => join(machine, OBJECT))];

/** Compiles and links the sources in `bpfDir` for every machine into `outDir`. */
export function buildBpf(bpfDir, outDir) {
  const parts = mkdtempSync(join(tmpdir(), 'agentsight-bpf-'));
  try {
    for (const [machine, target] of Object.entries(MACHINES)) {
      const dir = join(resolve(outDir), machine);
      mkdirSync(dir, { recursive: true });
      const objects = sourcesIn(bpfDir).map((source) => ({ source, path: join(parts, `${source}.o`) }));
      for (const { source, path } of objects) compile(bpfDir, source, target, path);
      execFileSync(BPFTOOL, ['gen', 'object', join(dir, OBJECT), ...objects.map(({ path }) => path)], { stdio: ['ignore', 'inherit', 'inherit'] });
      // The same for each machine: only what a program does may depend on it.
      writeFileSync(join(resolve(outDir), MEMBERS), membersHeader(objects));
    }
  } finally {
    rmSync(parts, { recursive: true });
  }
}

/** @param {readonly { source: string, path: string }[]} objects */
function membersHeader(objects) {
  const lines = objects.flatMap(({ source, path }) => membersOf(path).map((name) => `\t{"${name}", "${source}"},\n`));
  return `/* Written by npm run build:bpf: the source of each program and map; maps of several sources are there once for each. */\n${lines.join('')}`;
}

/** Programs and maps of a compiled object, by name. */
function membersOf(path) {
  const [{ Symbols }] = JSON.parse(execFileSync(READELF, ['--symbols', '--elf-output-style=JSON', path], { encoding: 'utf8' }));
  return Symbols.map(({ Symbol }) => ({ name: Symbol.Name.Name, section: Symbol.Section.Name, binding: Symbol.Binding.Name, type: Symbol.Type.Name }))
    .filter(({ binding, section, type }) => binding !== 'Local' && (section === '.maps' || (type === 'Function' && section !== '.text')))
    .map(({ name }) => name).sort();
}

function compile(bpfDir, family, target, output) {
  const options = [
    '-target', 'bpf', '-mcpu=v3', '-g', '-O2', `-D__TARGET_ARCH_${target}`,
    '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-ffile-compilation-dir=.',
  ];
  execFileSync(CLANG, [...options, '-c', `${family}.bpf.c`, '-o', output], { cwd: bpfDir, stdio: ['ignore', 'inherit', 'inherit'] });
  // BTF stays: it is what CO-RE works with. DWARF would be 20 times its size.
  execFileSync(STRIP, ['-g', output], { stdio: ['ignore', 'inherit', 'inherit'] });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bpfDir = join(dirname(fileURLToPath(import.meta.url)), '../../bpf');
  try {
    buildBpf(bpfDir, join(bpfDir, 'prebuilt'));
  } catch (error) {
    console.error(
      error.code === 'ENOENT'
        ? `could not build the BPF programs: ${error.path} is not installed; run: apt-get install clang-19 llvm-19 libbpf-dev bpftool`
        : 'could not build the BPF programs: the compiler or linker says why above',
    );
    process.exitCode = 1;
  }
}
