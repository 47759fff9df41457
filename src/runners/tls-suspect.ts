/**
 * Notices a place that is not the function it was taken for: what passes there
 * does not begin as anything does that people send over TLS. Only places that
 * were found without a symbol are judged.
 */
import type { ProbeData, TlsEvent } from '../event.ts';
import { beginsAsProtocol } from '../decode/first-bytes.ts';
import { LIMITS } from '../limits.ts';
import type { TlsFile } from './tls-files.ts';

export interface Suspicion {
  /** `files` are those of the event's process. Gives what is to be told, once for each file. */
  judge(event: TlsEvent, files: Iterable<TlsFile>): readonly ProbeData[];
}

interface Starts {
  readonly known: Record<'read' | 'write', number>;
  readonly strange: Record<'read' | 'write', number>;
  isTold: boolean;
}

export function createSuspicion(): Suspicion {
  const judged = new Map<TlsFile, Starts>();

  function startsOf(file: TlsFile): Starts | null {
    const present = judged.get(file);
    if (present !== undefined) return present;
    if (judged.size >= LIMITS.tlsSuspectFiles) return null;
    const starts: Starts = { known: { read: 0, write: 0 }, strange: { read: 0, write: 0 }, isTold: false };
    judged.set(file, starts);
    return starts;
  }

  return {
    judge({ data, pid, comm }, files) {
      // Only what begins a direction: the middle of a body may be anything.
      if (data.event !== 'DATA' || data.position !== 0 || data.len === 0) return [];
      const { direction, library, payload } = data;
      const isKnown = !data.fault && beginsAsProtocol(payload);
      const told: ProbeData[] = [];
      for (const file of files) {
        if (file.probe === null || file.state !== 'attached' || file.library !== library || !isLocated(file.probe)) continue;
        const starts = startsOf(file);
        if (starts === null || starts.isTold) continue;
        starts[isKnown ? 'known' : 'strange'][direction]++;
        if (!isSuspect(starts)) continue;
        starts.isTold = true;
        const strange = starts.strange.read + starts.strange.write;
        told.push({
          ...file.probe, status: 'suspect',
          reason: `what passed there begins like no protocol that we know, ${strange} times (last in pid ${pid} ${comm}): the place may be wrong`,
        });
      }
      return told;
    },
  };
}

function isLocated({ method }: ProbeData): boolean {
  return method === 'locator' || method === 'build-id';
}

/** One direction, of which none was right; or the two together. */
function isSuspect({ known, strange }: Starts): boolean {
  const wrong = (direction: 'read' | 'write'): boolean => known[direction] === 0 && strange[direction] >= LIMITS.tlsSuspectStarts;
  const nothingRight = known.read + known.write === 0 && strange.read + strange.write >= LIMITS.tlsSuspectStarts;
  return wrong('read') || wrong('write') || nothingRight;
}
