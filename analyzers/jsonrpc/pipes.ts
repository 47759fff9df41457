/**
 * Who is at the ends of each pipe and each pair of sockets, as far as stdio events told. The oldest is forgotten.
 *
 * The ends of a pipe share its name, and one reads what the other writes. Of a pair of sockets each end has a name of
 * its own, `target` of whoever uses it, and the other's is `peer_target`.
 */
import type { McpPeer, ProcessKey, StdioEvent } from '../../src/event.ts';

/** What one process uses of a pipe or a pair of sockets. */
export interface PipeUse {
  /** The same at both ends. */
  readonly pipe: string;
  readonly own: string;
  /** null: not known. */
  readonly other: string | null;
  /** Who the event says is at the other end, who used it last first. */
  readonly peers: readonly McpPeer[];
}

export interface Pipes {
  /** The process reads or writes there. */
  see(event: StdioEvent): PipeUse;
  /** Whether it is this process that tells of the pipe; the first to ask is. */
  tells(pipe: string, process: ProcessKey | null): boolean;
  /** The process at the other end of what some events used: one that was seen to use it, else one that held it. */
  peerOf(uses: readonly PipeUse[]): McpPeer | null;
  /** Names of all those processes: who was seen to use it, else who held it. */
  namesAt(use: PipeUse): ReadonlySet<string>;
  forget(): void;
}

export function createPipes(limit: number): Pipes {
  const users = new Map<string, McpPeer>();
  const tellers = new Map<string, ProcessKey | null>();

  return {
    see(event) {
      const use = useOf(event);
      const { pid, comm, process } = event;
      const known = users.get(use.own);
      if (known?.process !== process || known.comm !== comm) put(users, use.own, { pid, comm, process, evidence: 'used' }, limit);
      return use;
    },
    tells(pipe, process) {
      const teller = tellers.get(pipe);
      if (teller !== undefined) return teller === process;
      put(tellers, pipe, process, limit);
      return true;
    },
    peerOf(uses) {
      const seen = uses.flatMap(({ other }) => (other === null ? [] : users.get(other) ?? []));
      const told = uses.flatMap(({ peers }) => peers);
      return told.find(({ evidence }) => evidence === 'used') ?? seen[0] ?? told[0] ?? null;
    },
    namesAt({ other, peers }) {
      const seen = other === null ? undefined : users.get(other);
      const all = seen === undefined ? peers : [...peers, seen];
      const used = all.filter(({ evidence }) => evidence === 'used');
      return new Set((used.length > 0 ? used : all).map(({ process, pid }) => process ?? String(pid)));
    },
    forget() {
      users.clear();
      tellers.clear();
    },
  };
}

function put<Value>(entries: Map<string, Value>, key: string, value: Value, limit: number): void {
  if (!entries.has(key) && entries.size >= limit) entries.delete(entries.keys().next().value as string);
  entries.set(key, value);
}

function useOf({ data }: StdioEvent): PipeUse {
  const { target, peer_target: other, direction } = data;
  const peers = (data.peers ?? []).map(({ pid, comm, process, evidence }): McpPeer => ({ pid, comm, process, evidence }));
  if (target.startsWith('pipe:')) {
    return { pipe: target, own: `${target} ${direction}`, other: `${target} ${direction === 'read' ? 'write' : 'read'}`, peers };
  }
  return { pipe: other === null ? target : [target, other].sort().join(' '), own: target, other, peers };
}
