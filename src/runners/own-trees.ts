/**
 * Programs that we start ourselves, such as the hub, are not what is watched,
 * though a trace by name (`--comm node`) takes them into the traced set. Their
 * events are dropped: the hub would be shown receiving the events of its own
 * doing.
 */
import type { Event, ProcessKey } from '../event.ts';
import { LIMITS } from '../limits.ts';

export interface OwnTrees {
  without(events: Event[]): Event[];
}

/** `launchedPid` is the child that is watched. */
export function createOwnTrees(ownPid: number, launchedPid: () => number | null): OwnTrees {
  const sessions = new Set<ProcessKey>();

  function isOwnRoot({ source, data, pid, process, session }: Event): boolean {
    return source === 'process' && data.event === 'EXEC' && data.ppid === ownPid && process === session && pid !== launchedPid();
  }

  return {
    without(events) {
      for (const event of events) {
        if (isOwnRoot(event) && event.session !== null && sessions.size < LIMITS.sessions) sessions.add(event.session);
      }
      return sessions.size === 0 ? events : events.filter(({ session }) => session === null || !sessions.has(session));
    },
  };
}
