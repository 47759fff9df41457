/** What a live capture holds between load and close. */
import type { Addon, Capture, ProgramFamily } from '../addon.ts';
import { createDecoder, type Decoder } from '../decode/decode.ts';
import type { ProcessTable } from '../decode/process-table.ts';
import type { ProbeData } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import type { StageStats } from '../stats.ts';
import { BootClock } from '../time.ts';
import { kernelStats } from './loss.ts';
import { readDescriptorPath } from './proc.ts';
import { createTlsFiles } from './tls-files.ts';
import { createTlsTargets, type TlsTargets } from './tls-targets.ts';

export interface Session {
  readonly capture: Capture;
  readonly decoder: Decoder;
  /** null when TLS is not captured. */
  readonly tls: TlsTargets | null;
}

export interface SessionOptions {
  readonly addon: Addon;
  readonly identity: Identity;
  readonly processes: ProcessTable;
  readonly families: readonly ProgramFamily[];
  readonly ringBytes?: number | undefined;
  readonly payloadBytesPerCall?: number | undefined;
  readonly allFds?: boolean | undefined;
  readonly onProbe: (probe: ProbeData) => void;
}

/** Loads and attaches the programs; nothing is traced yet. */
export function openSession(options: SessionOptions): Session {
  const { addon, identity, processes, families, onProbe } = options;
  const capture = addon.openCapture({
    // Processes are followed whatever is shown: the end of the run and the hooks depend on their records.
    families: [...new Set<ProgramFamily>(['process', ...families])],
    ringBytes: options.ringBytes ?? LIMITS.ringBytes,
    payloadBytesPerCall: options.payloadBytesPerCall ?? LIMITS.payloadBytesPerCall,
    allFds: options.allFds ?? false,
    queuedBytes: LIMITS.addonQueuedBytes,
  });
  try {
    capture.load();
    const clock = new BootClock(addon.bootClockOffsetNs());
    const decoder = createDecoder({ clock, identity, processes, readPath: readDescriptorPath });
    const tls = families.includes('tls') ? createTlsTargets(createTlsFiles({ addon, capture, onProbe }), processes) : null;
    return { capture, decoder, tls };
  } catch (error) {
    capture.close();
    throw error;
  }
}

export function sessionStats({ capture, decoder, tls }: Session): StageStats[] {
  return [
    ...kernelStats(capture.kernelCounters()),
    { stage: 'addon', counters: { ...capture.counters() } },
    { stage: 'decoder', counters: decoder.counters() },
    ...(tls === null ? [] : [{ stage: 'tls targets', counters: tls.counters() }]),
  ];
}
