/** What a live capture holds between load and close. */
import type { Addon, Capture, ProgramFamily } from '../addon.ts';
import { createDecoder, type Decoder } from '../decode/decode.ts';
import type { ProcessTable } from '../decode/process-table.ts';
import type { ProbeData } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import type { StageStats } from '../stats.ts';
import { BootClock } from '../time.ts';
import { createDescriptors, type Descriptors } from './descriptors.ts';
import { kernelStats } from './loss.ts';
import { createTlsFiles } from './tls-files.ts';
import { createTlsTargets, type TlsTargets } from './tls-targets.ts';

export interface OpenCapture {
  readonly capture: Capture;
  readonly decoder: Decoder;
  readonly descriptors: Descriptors;
  /** null when TLS is not captured. */
  readonly tls: TlsTargets | null;
}

export interface OpenCaptureOptions {
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
export function openCapture(options: OpenCaptureOptions): OpenCapture {
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
    const descriptors = createDescriptors();
    const decoder = createDecoder({ clock, identity, processes, readPath: descriptors.readPath });
    const tls = families.includes('tls') ? createTlsTargets(createTlsFiles({ addon, capture, onProbe }), processes) : null;
    return { capture, decoder, descriptors, tls };
  } catch (error) {
    capture.close();
    throw error;
  }
}

export function captureStats({ capture, decoder, tls }: OpenCapture): StageStats[] {
  return [
    ...kernelStats(capture.kernelCounters()),
    { stage: 'addon', counters: { ...capture.counters() } },
    { stage: 'decoder', counters: decoder.counters() },
    ...(tls === null ? [] : [{ stage: 'tls targets', counters: tls.counters() }]),
  ];
}
