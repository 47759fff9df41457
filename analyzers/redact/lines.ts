/** Lines that are not over, by process, file and direction: without a text made of the three for each chunk. */
import type { ProcessKey, StdioEvent } from '../../src/event.ts';
import type { Nanoseconds } from '../../src/time.ts';

/** A line that is not over, or a block of a private key. */
export interface Line {
  readonly process: ProcessKey | number;
  readonly target: string;
  readonly direction: StdioEvent['data']['direction'];
  /** What has left of it, as it was, as far as it tells secrets in what comes. */
  tail: Buffer;
  held: StdioEvent[];
  heldBytes: number;
  /** Among whom it waits. */
  wait: Wait | null;
  since: Nanoseconds;
  ticks: number;
  /** How much was read when it was read last, and how much came then. */
  readBytes: number;
  unreadBytes: number;
  /** Where in its call the next chunk begins; 0 after the last of it. */
  next: number;
}

/** Lines that wait for the same reason, longest first. */
export interface Wait {
  readonly lines: Set<Line>;
  readonly ms: number;
  readonly ticks: number;
}

export interface Lines {
  /** Oldest first. */
  readonly all: ReadonlySet<Line>;
  find(event: StdioEvent): Line | undefined;
  /** With nothing in it. */
  open(event: StdioEvent): Line;
  delete(line: Line): void;
  of(process: ProcessKey | number): readonly Line[];
}

type Targets = Map<string, Line>;

export function createLines(): Lines {
  const all = new Set<Line>();
  const processes = new Map<ProcessKey | number, { readonly read: Targets; readonly write: Targets }>();
  const processOf = ({ process, pid }: StdioEvent): ProcessKey | number => process ?? pid;

  return {
    all,
    find: (event) => processes.get(processOf(event))?.[event.data.direction].get(event.data.target),
    open(event) {
      const { target, direction } = event.data;
      const process = processOf(event);
      const line: Line = {
        process, target, direction, tail: Buffer.alloc(0), held: [], heldBytes: 0, wait: null, since: event.timestamp, ticks: 0, readBytes: 0, unreadBytes: 0, next: 0,
      };
      const own = processes.get(process) ?? { read: new Map(), write: new Map() };
      processes.set(process, own);
      own[direction].set(target, line);
      all.add(line);
      return line;
    },
    delete(line) {
      all.delete(line);
      const own = processes.get(line.process);
      own?.[line.direction].delete(line.target);
      if (own?.read.size === 0 && own.write.size === 0) processes.delete(line.process);
    },
    of(process) {
      const own = processes.get(process);
      return own === undefined ? [] : [...own.read.values(), ...own.write.values()];
    },
  };
}
