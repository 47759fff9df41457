/** Paths of open files by process and descriptor: sums of bytes come with the number of their file alone. */
import { LIMITS } from '../limits.ts';
import type { ProcessEntry } from './process-table.ts';

/** What a descriptor stood for when it was told. */
export interface NamedFile {
  /** Given by the kernel's program; other files of the same descriptor have others. */
  readonly id: bigint;
  readonly path: string;
  /** The path has lost its beginning. */
  readonly truncated: boolean;
}

export interface FileNames {
  get(process: ProcessEntry, fd: number): NamedFile | undefined;
  set(process: ProcessEntry, fd: number, file: NamedFile): void;
  forget(process: ProcessEntry): void;
}

export function createFileNames(): FileNames {
  // Weak: a process whose end was not told is forgotten with its entry in the process table.
  const byProcess = new WeakMap<ProcessEntry, Map<number, NamedFile>>();
  return {
    get: (process, fd) => byProcess.get(process)?.get(fd),
    set(process, fd, file) {
      let files = byProcess.get(process);
      if (files === undefined) byProcess.set(process, files = new Map());
      if (files.size >= LIMITS.namedFilesPerProcess && !files.has(fd)) files.delete(files.keys().next().value ?? fd);
      files.set(fd, file);
    },
    forget: (process) => void byProcess.delete(process),
  };
}
