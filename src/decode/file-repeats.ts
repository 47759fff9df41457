/**
 * Equal operations of one process within a second become two events: the first
 * at once, the others together, with their exact number. Nothing is dropped: at
 * the limit what is held is told early.
 */
import type { Event, FileChange, FileEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { differenceMs, type Nanoseconds } from '../time.ts';
import type { ProcessEntry } from './process-table.ts';

export interface FileRepeats {
  /** Adds to `events` what is to be told now: `event`, unless it is one more of those that are held. */
  add(process: ProcessEntry, event: FileChangeEvent, events: Event[]): void;
  /** What is held of a process that ends. */
  takeOf(process: ProcessEntry): FileEvent[];
  /** All that is held: a second has passed, or the run ends. */
  take(): FileEvent[];
}

export type FileChangeEvent = FileEvent & { readonly data: FileChange };

interface Held {
  event: FileChangeEvent;
  /** 0: only the first was seen, and it has been told. */
  count: number;
  last: Nanoseconds;
}

export function createFileRepeats(limit: number = LIMITS.fileRepeats): FileRepeats {
  const byProcess = new Map<ProcessEntry, Map<string, Held>>();
  let size = 0;

  function add(process: ProcessEntry, event: FileChangeEvent, events: Event[]): void {
    // Two paths that lost a part may be different ones.
    if (event.data.truncated) {
      events.push(event);
      return;
    }
    const key = keyOf(event.data);
    let operations = byProcess.get(process);
    const held = operations?.get(key);
    if (held !== undefined) {
      // The first of the held ones gives them its time and id.
      if (held.count === 0) held.event = event;
      held.count += 1;
      held.last = event.timestamp;
      return;
    }
    if (size >= limit) {
      events.push(...take());
      operations = undefined;
    }
    if (operations === undefined) byProcess.set(process, operations = new Map());
    operations.set(key, { event, count: 0, last: event.timestamp });
    size += 1;
    events.push(event);
  }

  function takeOf(process: ProcessEntry): FileEvent[] {
    const operations = byProcess.get(process);
    if (operations === undefined) return [];
    byProcess.delete(process);
    size -= operations.size;
    return [...operations.values()].filter(({ count }) => count > 0).map(eventOf);
  }

  function take(): FileEvent[] {
    return [...byProcess.keys()].flatMap(takeOf);
  }

  return { add, takeOf, take };
}

function eventOf({ event, count, last }: Held): FileEvent {
  return { ...event, data: { ...event.data, count, span_ms: differenceMs(last, event.timestamp) } };
}

/** No path holds a NUL. */
function keyOf(data: FileChange): string {
  const { event, error, created, mode, length, uid, gid, flags } = data;
  return `${event} ${error} ${created} ${mode} ${length} ${uid} ${gid} ${flags.join()}\0${data.path}\0${data.target}`;
}
