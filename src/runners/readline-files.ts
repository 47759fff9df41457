/**
 * Hooks bash where it reads a line: its own readline(), or that of the library
 * it was linked with. By inode and for all processes, as TLS is, or of the one
 * that is traced alone.
 */
import { basename } from 'node:path';
import type { Addon, Capture } from '../addon.ts';
import { AgentsightError, causeText } from '../errors.ts';
import type { Event, ProbeData } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { statFile } from './mapped-file.ts';
import { readLink } from './proc.ts';
import { neededFiles } from './tls-needed.ts';

export interface ReadlineFiles {
  /** The shells of the system, and those among these files: before anything runs. */
  attachInstalled(files: readonly string[]): void;
  /** A process that runs. */
  lookAt(pid: number): void;
  observe(event: Event): void;
  /** The process that is traced alone has another leader: its EXEC follows, and is hooked for all. */
  onNewLeader(): void;
  counters(): Readonly<Record<string, number>>;
}

export interface ReadlineFilesOptions {
  readonly readElf: Addon['readElf'];
  readonly capture: Pick<Capture, 'attachUprobe' | 'detachUprobe'>;
  readonly onProbe: (probe: ProbeData) => void;
  /** The only process that is traced. */
  readonly onlyPid: number | null;
}

const INSTALLED = ['/usr/bin/bash', '/usr/local/bin/bash'];
const FUNCTION = 'readline';
const LIBRARY = /^libreadline\.so/;

/** bash, rbash, bash-static, bash5 … */
const isBash = (path: string): boolean => /^r?bash/.test(basename(path));

export function createReadlineFiles({ readElf, capture, onProbe, onlyPid }: ReadlineFilesOptions): ReadlineFiles {
  const looked = new Set<string>();
  let pid = onlyPid;
  /** Hooks of one process. */
  const hooks: number[] = [];
  const counters = new Counters(['attached', 'absent', 'failed', 'refused']);

  function look(path: string, place = path): void {
    const stat = statFile(place);
    const key = stat === null ? '' : `${stat.dev}:${stat.ino}`;
    if (stat === null || looked.has(key)) return;
    if (looked.size >= LIMITS.readlineFiles) {
      counters.add('refused');
      return;
    }
    looked.add(key);
    const { status, reason } = hook(place);
    counters.add(status);
    onProbe({
      subject: 'readline', path, place: null, build_id: null, library: null, status, reason,
      method: status === 'attached' ? 'symbol' : null, functions: status === 'attached' ? [FUNCTION] : [], steps: [],
    });
  }

  function hook(place: string): { readonly status: 'attached' | 'absent' | 'failed'; readonly reason: string | null } {
    try {
      if (attach(place)) return { status: 'attached', reason: null };
      const library = neededFiles(place, readElf)?.find((path) => LIBRARY.test(basename(path)));
      if (library !== undefined && attach(library)) return { status: 'attached', reason: `in ${library}` };
      return { status: 'absent', reason: `it has no function ${FUNCTION} by name: the lines that it reads are not captured` };
    } catch (error) {
      if (!(error instanceof AgentsightError)) throw error;
      return { status: 'failed', reason: causeText(error) };
    }
  }

  function attach(place: string): boolean {
    const symbol = readElf(place, [FUNCTION]).symbols[0];
    if (symbol === undefined) return false;
    const id = capture.attachUprobe({ program: 'readline_exit', path: place, offset: symbol.offset, pid, cookie: 0 });
    if (pid !== null) hooks.push(id);
    return true;
  }

  function lookAt(shell: number): void {
    const path = readLink(`/proc/${shell}/exe`);
    if (path !== null && isBash(path)) look(path, `/proc/${shell}/exe`);
  }

  return {
    attachInstalled(files) {
      for (const path of [...INSTALLED, ...files.filter(isBash)]) look(path);
    },
    lookAt,
    observe({ source, data, pid: shell }) {
      if (source === 'process' && data.event === 'EXEC' && !data.existing && isBash(data.exe ?? data.filename)) lookAt(shell);
    },
    onNewLeader() {
      pid = null;
      for (const id of hooks.splice(0)) capture.detachUprobe(id);
      looked.clear();
    },
    counters: () => counters.snapshot(),
  };
}
