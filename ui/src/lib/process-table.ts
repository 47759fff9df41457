/** The processes of a session as a tree, from the API's list and from live events. */
import type { ApiEvent, Process } from '../../../src/hub/api.ts';
import { type ProgramLabel, programLabel } from './program.ts';
import { flag, number, numberOrNull, text, textOrNull, texts } from './read.ts';
import type { TimeBase } from './time-base.ts';

/** More processes than a person can look through; further ones are counted. */
export const TABLE_PROCESSES = 50_000;

export interface ProcessNode {
  readonly key: string;
  readonly pid: number;
  readonly ppid: number;
  readonly parent: string | null;
  readonly comm: string;
  readonly filename: string | null;
  readonly argv: readonly string[];
  readonly cwd: string | null;
  readonly uid: number | null;
  readonly start: number;
  /** null while it runs. */
  readonly end: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly peakRssBytes: number | null;
}

export interface TreeRow {
  readonly node: ProcessNode;
  readonly depth: number;
  readonly children: number;
  readonly collapsed: boolean;
}

export class ProcessTable {
  readonly #base: TimeBase;
  readonly #nodes = new Map<string, ProcessNode>();
  #refused = 0;
  #version = 0;

  constructor(base: TimeBase) {
    this.#base = base;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Grows with each change. */
  get version(): number {
    return this.#version;
  }

  get refused(): number {
    return this.#refused;
  }

  get(key: string): ProcessNode | undefined {
    return this.#nodes.get(key);
  }

  merge(processes: readonly Process[]): void {
    for (const process of processes) this.#put(fromApi(process, this.#base));
  }

  /** Takes in a `process` event; true when the table changed. */
  apply(event: ApiEvent): boolean {
    if (event.source !== 'process' || event.process === null) return false;
    const { data } = event;
    const time = this.#base.toOffset(event.timestamp);
    const known = this.#nodes.get(event.process) ?? blank(event, time);
    switch (text(data, 'event')) {
      case 'FORK':
        this.#put({ ...known, parent: textOrNull(data, 'parent'), ppid: number(data, 'ppid'), start: Math.min(known.start, time) });
        return true;
      case 'EXEC':
        this.#put({
          ...known,
          comm: event.comm,
          ppid: number(data, 'ppid'),
          parent: known.parent ?? textOrNull(data, 'parent'),
          filename: text(data, 'filename'),
          argv: texts(data, 'argv'),
          cwd: textOrNull(data, 'cwd'),
          uid: numberOrNull(data, 'uid'),
        });
        return true;
      case 'EXIT': {
        const lived = flag(data, 'existing') ? 0 : number(data, 'duration_ms') * 1e6;
        this.#put({
          ...known,
          ppid: known.ppid === 0 ? number(data, 'ppid') : known.ppid,
          // Seen only at its end: the event says how long it lived.
          start: known.start === time ? time - lived : known.start,
          end: time,
          exitCode: numberOrNull(data, 'exit_code'),
          signal: textOrNull(data, 'signal'),
          peakRssBytes: numberOrNull(data, 'peak_rss_bytes'),
        });
        return true;
      }
      default:
        return false;
    }
  }

  /** Depth first, siblings by start; children of a collapsed process are left out. */
  rows(collapsed: ReadonlySet<string>): TreeRow[] {
    const children = this.#children();
    const rows: TreeRow[] = [];
    const stack: { node: ProcessNode; depth: number }[] = (children.get(null) ?? []).map((node) => ({ node, depth: 0 })).reverse();
    while (stack.length > 0) {
      const { node, depth } = stack.pop() as { node: ProcessNode; depth: number };
      const own = children.get(node.key) ?? [];
      const isCollapsed = collapsed.has(node.key);
      rows.push({ node, depth, children: own.length, collapsed: isCollapsed });
      if (isCollapsed) continue;
      for (let index = own.length - 1; index >= 0; index -= 1) stack.push({ node: own[index] as ProcessNode, depth: depth + 1 });
    }
    return rows;
  }

  #children(): Map<string | null, ProcessNode[]> {
    const children = new Map<string | null, ProcessNode[]>();
    for (const node of this.#nodes.values()) {
      const parent = node.parent !== null && node.parent !== node.key && this.#nodes.has(node.parent) ? node.parent : null;
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [node]);
      else siblings.push(node);
    }
    for (const siblings of children.values()) siblings.sort((a, b) => a.start - b.start || a.pid - b.pid);
    return children;
  }

  #put(node: ProcessNode): void {
    if (!this.#nodes.has(node.key) && this.#nodes.size >= TABLE_PROCESSES) {
      this.#refused += 1;
      return;
    }
    this.#nodes.set(node.key, node);
    this.#version += 1;
  }
}

export function processLabel(node: ProcessNode): ProgramLabel {
  return programLabel(node.argv.length > 0 ? node.argv : [node.filename ?? ''], node.comm);
}

export function failed(node: ProcessNode): boolean {
  return node.signal !== null || (node.exitCode !== null && node.exitCode !== 0);
}

function fromApi(process: Process, base: TimeBase): ProcessNode {
  return {
    key: process.process,
    pid: process.pid,
    ppid: process.ppid,
    parent: process.parent,
    comm: process.comm,
    filename: process.filename,
    argv: process.argv,
    cwd: process.cwd,
    uid: process.uid,
    start: base.toOffset(process.start),
    end: process.end === null ? null : base.toOffset(process.end),
    exitCode: process.exit_code,
    signal: process.signal,
    peakRssBytes: process.peak_rss_bytes,
  };
}

function blank(event: ApiEvent, start: number): ProcessNode {
  return {
    key: event.process ?? '',
    pid: event.pid,
    ppid: 0,
    parent: null,
    comm: event.comm,
    filename: null,
    argv: [],
    cwd: null,
    uid: null,
    start,
    end: null,
    exitCode: null,
    signal: null,
    peakRssBytes: null,
  };
}
