/**
 * Compiles bpf/*.bpf.c into bpf/prebuilt/<machine>/. Plain JavaScript: runs
 * before anything is built.
 *
 * The output does not depend on where the sources lie: names are relative and
 * the compilation folder that debug information holds is `.`. A test builds
 * again elsewhere and compares with what is committed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const FAMILIES = ['process', 'stdio', 'tls'];

/** Folder of each machine, and the name that libbpf's headers want. */
export const MACHINES = { x86_64: 'x86', arm64: 'arm64' };

const CLANG = process.env.CLANG ?? 'clang-19';
const STRIP = process.env.LLVM_STRIP ?? 'llvm-strip-19';

/** Compiles the sources in `bpfDir` for every machine into `outDir`/<machine>/. */
export function buildBpf(bpfDir, outDir) {
  for (const [machine, target] of Object.entries(MACHINES)) {
    const dir = join(resolve(outDir), machine);
    mkdirSync(dir, { recursive: true });
    for (const family of FAMILIES) compile(bpfDir, family, target, join(dir, `${family}.bpf.o`));
  }
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
        ? `could not build the BPF programs: ${error.path} is not installed; run: apt-get install clang-19 llvm-19 libbpf-dev`
        : 'could not build the BPF programs: the compiler says why above',
    );
    process.exitCode = 1;
  }
}
