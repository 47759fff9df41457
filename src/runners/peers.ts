/**
 * Who is at the other end of a pipe, a pair of sockets or a terminal: those
 * that were seen to use that end, and, where nobody was, those that /proc says
 * to have it open. Traced processes are asked first, then those above the one
 * in question, then others.
 *
 * Looking costs time that the records wait for, so it takes a fifth of it at
 * most, after a quarter of a second to begin with. Whoever is not found is not named: a pipe that was left by then, or
 * that we had no time for.
 */
import type { PeersOf, Use } from '../decode/peer.ts';
import type { ProcessTable } from '../decode/process-table.ts';
import type { ProcessKey, StdioPeer } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { openEnds } from './open-ends.ts';
import { hasEnded, listPids, readStat } from './proc.ts';

export interface Peers {
  readonly peersOf: PeersOf;
  counters(): Readonly<Record<string, number>>;
}

export interface PeersOptions {
  readonly identity: Pick<Identity, 'processKeyOfTicks'>;
  readonly processes: Pick<ProcessTable, 'live'>;
  readonly nowMs?: () => number;
}

/** What is known of one end. `peers` is replaced, never changed: events keep it. */
interface End {
  peers: readonly StdioPeer[];
  /** When somebody was last looked for there. */
  lookedMs: number;
}

/** What is known is looked at again after this long: ends are closed, and taken over. */
const LOOK_AGAIN_MS = 1000;
/** The share of all time that is for looking, and how much of it can be saved up. */
const LOOKING_SHARE = 0.2;
const SAVED_MS = 250;

export function createPeers({ identity, processes, nowMs = () => performance.now() }: PeersOptions): Peers {
  const ends = new Map<string, End>();
  const counters = new Counters(['looks', 'deferred', 'unknown', 'forgotten', 'left_out', 'descriptors_left_out']);
  let savedMs = SAVED_MS;
  let savedAtMs = nowMs();

  const leaveOut = (count: number): void => counters.add('descriptors_left_out', count);

  function endOf(name: string): End {
    const known = ends.get(name);
    if (known !== undefined) return known;
    if (ends.size >= LIMITS.peerEnds) {
      ends.delete(ends.keys().next().value ?? name);
      counters.add('forgotten');
    }
    const end: End = { peers: [], lookedMs: Number.NEGATIVE_INFINITY };
    ends.set(name, end);
    return end;
  }

  function atMost(found: readonly StdioPeer[]): readonly StdioPeer[] {
    if (found.length <= LIMITS.peersPerEnd) return found;
    counters.add('left_out', found.length - LIMITS.peersPerEnd);
    return found.slice(0, LIMITS.peersPerEnd);
  }

  function noteUse(end: End, { process, fd }: Use): void {
    const last = end.peers[0];
    if (last?.process === process.key && last.fd === fd && last.comm === process.comm && last.evidence === 'used') return;
    const user: StdioPeer = { pid: process.pid, process: process.key, comm: process.comm, fd, evidence: 'used' };
    const others = end.peers.filter((peer) => peer.process !== process.key || (peer.fd !== fd && peer.evidence === 'used'));
    end.peers = atMost([user, ...others]);
  }

  /** Keeps who is there still. Of those that have ended the last users, while there is nobody else. */
  function verify(name: string, end: End): void {
    const present = end.peers.flatMap((peer) => {
      const stat = readStat(peer.pid);
      if (stat === null || hasEnded(stat) || identity.processKeyOfTicks(stat.startTicks, stat.pid) !== peer.process) return [];
      if (peer.evidence === 'held' && !openEnds(peer.pid, leaveOut).some((open) => open.fd === peer.fd && open.end === name)) return [];
      return [stat.comm === peer.comm ? peer : { ...peer, comm: stat.comm }];
    });
    const kept = present.length > 0 ? present : end.peers.filter(({ evidence }) => evidence === 'used');
    const isSame = kept.length === end.peers.length && kept.every((peer, index) => peer === end.peers[index]);
    if (!isSame) end.peers = kept;
  }

  function look(name: string, end: End, { process }: Use): void {
    const startMs = nowMs();
    savedMs = Math.min(SAVED_MS, savedMs + (startMs - savedAtMs) * LOOKING_SHARE);
    savedAtMs = startMs;
    if (savedMs <= 0) {
      counters.add('deferred');
      return;
    }
    counters.add('looks');
    end.lookedMs = startMs;
    verify(name, end);
    if (end.peers.length === 0) {
      for (const pids of groups(process.pid)) {
        end.peers = atMost(pids.flatMap((pid) => holders(pid, name)));
        if (end.peers.some((peer) => peer.process !== process.key)) break;
      }
    }
    savedMs -= nowMs() - startMs;
  }

  /** In the order of asking. */
  function* groups(pid: number): Iterable<readonly number[]> {
    const live = [...processes.live()].slice(-LIMITS.peerProcesses).map((entry) => entry.pid);
    yield live;
    const above: number[] = [];
    for (let stat = readStat(pid); stat !== null && stat.ppid > 0 && above.length < LIMITS.ancestors; stat = readStat(stat.ppid)) {
      above.push(stat.ppid);
    }
    yield above;
    yield listPids().slice(-LIMITS.peerProcesses);
  }

  function holders(pid: number, name: string): StdioPeer[] {
    const open = openEnds(pid, leaveOut).filter(({ end }) => end === name);
    const stat = open.length === 0 ? null : readStat(pid);
    if (stat === null) return [];
    const key = identity.processKeyOfTicks(stat.startTicks, pid);
    return open.map(({ fd }) => ({ pid, process: key, comm: stat.comm, fd, evidence: 'held' }));
  }

  /** Who has both ends open is at the other end only if it uses it. */
  const others = createOthers();

  return {
    peersOf(use) {
      const { ends: named, direction, process } = use;
      noteUse(endOf(direction === 'read' ? named.reader : named.writer), use);
      const name = direction === 'read' ? named.peerOfReader : named.peerOfWriter;
      const end = endOf(name);
      if (nowMs() - end.lookedMs > LOOK_AGAIN_MS) look(name, end, use);
      const peers = others(end.peers, process.key);
      if (peers.length === 0) counters.add('unknown');
      return peers;
    },
    counters: () => counters.snapshot(),
  };
}

/** The same array for the same question: lines of events are made from it once. */
function createOthers(): (peers: readonly StdioPeer[], own: ProcessKey) => readonly StdioPeer[] {
  const answers = new WeakMap<readonly StdioPeer[], Map<ProcessKey, readonly StdioPeer[]>>();
  return (peers, own) => {
    const isOther = ({ process, evidence }: StdioPeer): boolean => process !== own || evidence === 'used';
    if (peers.every(isOther)) return peers;
    const ofPeers = answers.get(peers) ?? new Map<ProcessKey, readonly StdioPeer[]>();
    answers.set(peers, ofPeers);
    const answer = ofPeers.get(own) ?? peers.filter(isOther);
    ofPeers.set(own, answer);
    return answer;
  };
}
