/**
 * Which two pipes of a process are one conversation: what is asked over the one is answered over the other. A client
 * of two servers numbers its requests from 0 for each, so that an id alone says little.
 *
 * Proven are a socket that goes both ways, and two pipes with the same process at the other end of both. What is not known so
 * is learned: the first reply to an id that waits on one pipe alone is from whoever hears that one. A reply that contradicts it ends that.
 */
import type { Direction, McpData } from '../../src/event.ts';
import type { PipeUse, Pipes } from './pipes.ts';

/** One pipe in one direction, of one process. */
export interface Side {
  readonly direction: Direction;
  /** As the last event had it: who is at the other end is learned with time. */
  use: PipeUse;
  learned: Side | null;
}

export interface Partner {
  readonly side: Side;
  readonly pairing: NonNullable<McpData['pairing']>;
}

export interface Sides {
  sideOf(use: PipeUse, direction: Direction): Side;
  partnerOf(side: Side): Partner | null;
  learn(one: Side, other: Side): void;
}

/** The longest unused is forgotten. */
export function createSides(pipes: Pipes, limit: number, onForgotten: () => void): Sides {
  const sides = new Map<string, Side>();

  function sideOf(use: PipeUse, direction: Direction): Side {
    const key = `${direction} ${use.own}`;
    const side = sides.get(key) ?? { direction, use, learned: null };
    side.use = use;
    sides.delete(key);
    if (sides.size >= limit) forgetOldest();
    sides.set(key, side);
    return side;
  }

  function forgetOldest(): void {
    const [oldest] = sides;
    if (oldest === undefined) return;
    unlearn(oldest[1]);
    sides.delete(oldest[0]);
    onForgotten();
  }

  function proven({ direction, use }: Side): Side | null {
    const opposite = direction === 'read' ? 'write' : 'read';
    const same = sides.get(`${opposite} ${use.own}`);
    if (same !== undefined) return same;
    const names = pipes.namesAt(use);
    if (names.size === 0) return null;
    const shared = [...sides.values()].filter((side) => side.direction === opposite && share(names, pipes.namesAt(side.use)));
    return shared.length === 1 ? shared[0] ?? null : null;
  }

  function unlearn(side: Side): void {
    if (side.learned?.learned === side) side.learned.learned = null;
    side.learned = null;
  }

  return {
    sideOf,
    partnerOf(side) {
      const found = proven(side);
      if (found !== null) return { side: found, pairing: 'proven' };
      return side.learned === null ? null : { side: side.learned, pairing: 'inferred' };
    },
    learn(one, other) {
      unlearn(one);
      unlearn(other);
      one.learned = other;
      other.learned = one;
    },
  };
}

function share(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  for (const name of some) {
    if (others.has(name)) return true;
  }
  return false;
}
