/** Who is at the ends of each pipe, as far as stdio events told. The oldest is forgotten. */
import type { Direction, McpPeer, ProcessKey, StdioEvent } from '../../src/event.ts';

export interface Pipes {
  /** The process reads or writes there. */
  see(event: StdioEvent): void;
  /** Whether it is this process that tells of the pipe; the first to ask is. */
  tells(target: string, process: ProcessKey | null): boolean;
  /** The process at the end that writes what this one reads, and the other way round; null where it was not seen. */
  peerOf(target: string, direction: Direction): McpPeer | null;
  forget(): void;
}

interface Pipe {
  read: McpPeer | null;
  write: McpPeer | null;
  teller: ProcessKey | null | undefined;
}

export function createPipes(limit: number): Pipes {
  const pipes = new Map<string, Pipe>();

  function pipeOf(target: string): Pipe {
    let pipe = pipes.get(target);
    if (pipe === undefined) {
      if (pipes.size >= limit) pipes.delete(pipes.keys().next().value as string);
      pipe = { read: null, write: null, teller: undefined };
      pipes.set(target, pipe);
    }
    return pipe;
  }

  return {
    see({ pid, comm, process, data }) {
      if (!data.target.startsWith('pipe:')) return;
      const pipe = pipeOf(data.target);
      if (pipe[data.direction]?.process !== process || pipe[data.direction]?.comm !== comm) pipe[data.direction] = { pid, comm, process };
    },
    tells(target, process) {
      const pipe = pipeOf(target);
      pipe.teller ??= process;
      return pipe.teller === process;
    },
    // Of a pair of sockets each end has a name of its own: only of a pipe the same name means the same bytes.
    peerOf: (target, direction) => pipes.get(target)?.[direction === 'read' ? 'write' : 'read'] ?? null,
    forget: () => pipes.clear(),
  };
}
