/** Records of signals. */
import type { ProcessKey, SignalEvent, SignalOutcome } from '../event.ts';
import type { Identity } from '../identity.ts';
import type { BootClock } from '../time.ts';
import { errnoName } from './errno.ts';
import { COMM_BYTES, HEADER, SIGNAL, SIGNAL_OUTCOME } from './layout.ts';
import type { RecordView } from './record.ts';
import { signalName } from './signals.ts';

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
}

/** A signal whose sender the kernel had no memory to note was delivered all the same. */
const OUTCOMES: ReadonlyMap<number, SignalOutcome> = new Map([
  [SIGNAL_OUTCOME.SIGNAL_DELIVERED, 'delivered'],
  [SIGNAL_OUTCOME.SIGNAL_IGNORED, 'ignored'],
  [SIGNAL_OUTCOME.SIGNAL_PENDING, 'pending'],
  [SIGNAL_OUTCOME.SIGNAL_OVERFLOW, 'overflow'],
  [SIGNAL_OUTCOME.SIGNAL_LOST_INFO, 'delivered'],
  [SIGNAL_OUTCOME.SIGNAL_FAILED, 'failed'],
]);

/** null when its outcome is unknown. */
export function decodeSignal({ batch, view, offset, process }: RecordView, { clock, identity }: Context): SignalEvent | null {
  const outcome = OUTCOMES.get(view.getUint32(offset + SIGNAL.outcome, true));
  if (outcome === undefined) return null;
  const number = view.getInt32(offset + SIGNAL.number, true);
  const senderPid = view.getUint32(offset + SIGNAL.sender_pid, true);
  const targetPid = view.getInt32(offset + SIGNAL.target_pid, true);
  return {
    timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
    source: 'signal',
    pid: process.pid,
    comm: process.comm,
    data: {
      signal: signalName(number),
      number,
      sent_by: senderPid === 0 ? 'kernel' : 'process',
      sender_pid: senderPid === 0 ? null : senderPid,
      sender_comm: senderPid === 0 ? null : commAt(batch, offset + SIGNAL.sender_comm),
      sender: keyAt(SIGNAL.sender_start_ns, senderPid),
      target_pid: targetPid,
      target_comm: commAt(batch, offset + SIGNAL.target_comm),
      target: keyAt(SIGNAL.target_start_ns, targetPid),
      outcome,
      error: errnoName(-view.getUint32(offset + SIGNAL.error, true)),
    },
    id: identity.nextId(),
    process: process.key,
    session: process.session,
  };

  function keyAt(start: number, pid: number): ProcessKey | null {
    const startNs = view.getBigUint64(offset + start, true);
    return startNs === 0n ? null : identity.processKey(startNs, pid);
  }
}

function commAt(batch: Buffer, at: number): string {
  const end = batch.subarray(at, at + COMM_BYTES).indexOf(0);
  return batch.toString('utf8', at, at + (end === -1 ? COMM_BYTES : end));
}
