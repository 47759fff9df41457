/** What a live capture holds between load and close. */
import { CAPTURE_DEFAULTS, type Addon, type Capture, type ProgramFamily, type Selection } from '../addon.ts';
import { createDecoder, type Decoder } from '../decode/decode.ts';
import type { ProcessTable } from '../decode/process-table.ts';
import type { ProbeData } from '../event.ts';
import type { Identity } from '../identity.ts';
import { locatedDir } from '../paths.ts';
import type { StageStats } from '../stats.ts';
import { BootClock } from '../time.ts';
import { readAncestors } from './ancestors.ts';
import { createDescriptors, type Descriptors } from './descriptors.ts';
import type { IoUringUser } from './io-uring.ts';
import { kernelStats } from './loss.ts';
import { createLadder } from './locate/ladder.ts';
import { createLocatedStore } from './locate/located-store.ts';
import { createPeers, type Peers } from './peers.ts';
import { createReadlineFiles, type ReadlineFiles } from './readline-files.ts';
import { createTlsFiles } from './tls-files.ts';
import { createTlsTargets, type TlsTargets } from './tls-targets.ts';

export interface OpenCapture {
  readonly capture: Capture;
  readonly decoder: Decoder;
  readonly descriptors: Descriptors;
  /** null when TLS is not captured. */
  readonly tls: TlsTargets | null;
  readonly peers: Peers;
  /** null when lines of shells are not captured. */
  readonly readline: ReadlineFiles | null;
}

export interface OpenCaptureOptions {
  readonly addon: Addon;
  readonly identity: Identity;
  readonly processes: ProcessTable;
  readonly families: readonly ProgramFamily[];
  readonly ringBytes?: number | undefined;
  readonly payloadBytesPerCall?: number | undefined;
  readonly stdioBytesPerCall?: number | undefined;
  readonly fds?: readonly number[] | undefined;
  readonly allFds?: boolean | undefined;
  readonly plainPorts?: readonly number[] | undefined;
  readonly selection: Selection;
  readonly heldPid: () => number | null;
  /** A running process has become a root. */
  readonly onJoin: (pid: number) => void;
  readonly onProbe: (probe: ProbeData) => void;
  /** The only process that will ever be traced: its hooks can be its own. */
  readonly onlyPid: number | null;
  readonly onIoUring: (user: IoUringUser) => void;
}

/** Loads and attaches the programs; nothing is traced yet. */
export function openCapture(options: OpenCaptureOptions): OpenCapture {
  const { addon, identity, processes, families, onProbe, onlyPid, onJoin, onIoUring, heldPid } = options;
  const capture = addon.openCapture({
    // Processes are followed whatever is shown: the end of the run and the hooks depend on their records.
    families: [...new Set<ProgramFamily>(['process', ...families])],
    ringBytes: options.ringBytes ?? CAPTURE_DEFAULTS.ringBytes,
    payloadBytesPerCall: options.payloadBytesPerCall ?? CAPTURE_DEFAULTS.payloadBytesPerCall,
    stdioBytesPerCall: options.stdioBytesPerCall ?? CAPTURE_DEFAULTS.stdioBytesPerCall,
    fds: options.fds ?? CAPTURE_DEFAULTS.fds,
    allFds: options.allFds ?? CAPTURE_DEFAULTS.allFds,
    plainPorts: options.plainPorts ?? CAPTURE_DEFAULTS.plainPorts,
    queuedBytes: CAPTURE_DEFAULTS.queuedBytes,
    selection: options.selection,
  });
  try {
    capture.load();
    const clock = new BootClock(addon.bootClockOffsetNs());
    const descriptors = createDescriptors();
    const peers = createPeers({ identity, processes });
    const tls = families.includes('tls') ? createTls(capture, options) : null;
    const readline = families.includes('readline') ? createReadlineFiles({ readElf: addon.readElf, capture, onProbe, onlyPid }) : null;
    const decoder = createDecoder({
      clock, identity, processes, readPath: descriptors.readPath, peersOf: peers.peersOf, onJoin, onIoUring, heldPid,
      ancestorsOf: (pid) => readAncestors(pid, identity),
      onNewLeader(pid) {
        tls?.onNewLeader(pid);
        readline?.onNewLeader();
      },
    });
    return { capture, decoder, descriptors, tls, peers, readline };
  } catch (error) {
    capture.close();
    throw error;
  }
}

function createTls(capture: Capture, { addon, processes, onProbe, onlyPid }: OpenCaptureOptions): TlsTargets {
  const ladder = createLadder({ readElf: addon.readElf, store: createLocatedStore(locatedDir()) });
  return createTlsTargets({
    files: createTlsFiles({ addon, capture, ladder, onProbe, onlyPid }),
    processes,
    watchMappings: (onMappings) => capture.watchMappings(onMappings),
    onSuspect: onProbe,
  });
}

export function captureStats({ capture, decoder, descriptors, tls, peers, readline }: OpenCapture): StageStats[] {
  return [
    ...kernelStats(capture.kernelCounters(), decoder.readOf),
    { stage: 'addon', counters: { ...capture.counters() } },
    { stage: 'decoder', counters: decoder.counters() },
    ...(tls === null ? [] : [{ stage: 'tls targets', counters: tls.counters() }]),
    { stage: 'peers', counters: peers.counters() },
    { stage: 'descriptors', counters: descriptors.counters() },
    ...(readline === null ? [] : [{ stage: 'readline targets', counters: readline.counters() }]),
  ];
}
