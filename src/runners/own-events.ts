/** Events about ourselves: most have no process. */
import type { LossData, LossEvent, ProbeData, ProbeEvent } from '../event.ts';
import type { Identity } from '../identity.ts';
import { now } from '../time.ts';
import type { UnseenTls } from './tls-report.ts';

export function probeEvent(data: ProbeData, identity: Identity): ProbeEvent {
  return { timestamp: now(), source: 'probe', pid: 0, comm: '', data, id: identity.nextId(), process: null, session: null };
}

export function lossEvent(data: LossData, identity: Identity): LossEvent {
  return { timestamp: now(), source: 'loss', pid: 0, comm: '', data, id: identity.nextId(), process: null, session: null };
}

/** Of a process that speaks TLS: why nothing of it is seen. */
export function unseenEvent({ reported, reason, program, files }: UnseenTls, identity: Identity): ProbeEvent {
  const file = files.find(({ state }) => state === 'unsupported' || state === 'failed') ?? files[0];
  return {
    ...probeEvent({
      path: file?.path ?? program ?? '', place: file?.probe?.place ?? null, build_id: file?.probe?.build_id ?? null, library: file?.library ?? null, status: 'unseen',
      method: null, functions: [], reason, steps: file?.probe?.steps ?? [],
    }, identity),
    pid: reported.pid, comm: reported.comm, process: reported.key, session: reported.session,
  };
}
