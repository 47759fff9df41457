/** Events about ourselves: they have no process. */
import type { LossData, LossEvent, ProbeData, ProbeEvent } from '../event.ts';
import type { Identity } from '../identity.ts';
import { now } from '../time.ts';

export function probeEvent(data: ProbeData, identity: Identity): ProbeEvent {
  return { timestamp: now(), source: 'probe', pid: 0, comm: '', data, id: identity.nextId(), process: null, session: null };
}

export function lossEvent(data: LossData, identity: Identity): LossEvent {
  return { timestamp: now(), source: 'loss', pid: 0, comm: '', data, id: identity.nextId(), process: null, session: null };
}
