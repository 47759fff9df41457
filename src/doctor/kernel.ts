/**
 * What this kernel can do, by doing it: every family of programs is loaded and
 * attached through the addon, a uprobe is set into this very process, and the
 * rings are allocated at the size that is configured. No version is compared.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { CAPTURE_DEFAULTS, loadAddon } from '../addon.ts';
import type { Addon, CaptureOptions, ProgramFamily } from '../addon.ts';
import { AgentsightError, causeText } from '../errors.ts';
import { formatSize } from '../values.ts';
import { missing, note, ok } from './check.ts';
import type { Check } from './check.ts';

const BTF = '/sys/kernel/btf/vmlinux';
const UPROBE_TYPE = '/sys/bus/event_source/devices/uprobe/type';
const FAMILIES = ['process', 'file', 'stdio', 'net', 'tls', 'signal', 'readline'] as const satisfies readonly ProgramFamily[];

/** Small: it is the full size of the rings that `rings` asks for, once. */
const PROBE_RING_BYTES = 256 * 1024;

export interface KernelRequest {
  readonly ringBytes: number;
  readonly privileged: boolean;
}

export function checkKernel({ ringBytes, privileged }: KernelRequest): readonly Check[] {
  const facts = [checkBtf(), checkLockdown(), checkUprobes(), ...checkJit(), ...checkParanoid(privileged)];
  const addon = tryAddon();
  if ('name' in addon) return [...facts, addon];
  if (!privileged) return [...facts, note('programs', 'not tried: loading them needs the privilege above', 'sudo agentsight-ts doctor')];
  return [...facts, ...checkFallbacks(addon), ...FAMILIES.map((family) => checkFamily(addon, family)), checkRings(addon, ringBytes), checkProbe(addon)];
}

function checkBtf(): Check {
  try {
    accessSync(BTF, constants.R_OK);
    return ok('kernel', `Linux ${release()} ${process.arch}, types in ${BTF}`);
  } catch (cause) {
    return missing('kernel', `Linux ${release()} ${process.arch} without readable ${BTF} (${causeText(cause)})`, {
      fix: 'boot a kernel built with CONFIG_DEBUG_INFO_BTF; those of Debian 12 and later are',
      exit: 4,
    });
  }
}

function checkLockdown(): Check {
  const mode = /\[(\w+)\]/.exec(read('/sys/kernel/security/lockdown') ?? '')?.[1];
  if (mode === undefined) return ok('lockdown', 'not told: securityfs is not mounted');
  if (mode !== 'confidentiality') return ok('lockdown', mode);
  return missing('lockdown', 'confidentiality: the kernel lets no BPF program read memory', {
    fix: 'boot without lockdown=confidentiality', exit: 4,
  });
}

function checkUprobes(): Check {
  if (read(UPROBE_TYPE) !== undefined) return ok('uprobes', 'the kernel has them');
  return missing('uprobes', `${UPROBE_TYPE} is not there: TLS cannot be seen`, { fix: 'boot a kernel built with CONFIG_UPROBE_EVENTS', exit: 4 });
}

function checkJit(): readonly Check[] {
  // Absent in containers and where the JIT is built in without a switch.
  if (read('/proc/sys/net/core/bpf_jit_enable')?.trim() !== '0') return [];
  return [note('jit', 'BPF programs are interpreted, which costs the traced program several times more', 'sysctl net.core.bpf_jit_enable=1')];
}

function checkParanoid(privileged: boolean): readonly Check[] {
  const level = Number(read('/proc/sys/kernel/perf_event_paranoid') ?? '0');
  // With CAP_PERFMON the setting is not asked.
  if (privileged || level <= 2) return [];
  return [note('perf', `kernel.perf_event_paranoid is ${level}: without CAP_PERFMON no uprobe can be set`)];
}

function tryAddon(): Addon | Check {
  try {
    return loadAddon();
  } catch (cause) {
    return missing('addon', causeText(cause), { fix: 'npm run setup', exit: 4 });
  }
}

/** What newer kernels have, and what stands in for it here. */
function checkFallbacks(addon: Addon): readonly Check[] {
  const { socketTracepoints, uprobeMulti } = addon.kernelFeatures();
  return [
    socketTracepoints
      ? ok('endpoints', 'by the tracepoints of sockets')
      : note('endpoints', 'the kernel has no sock_send_length and sock_recv_length (Linux 6.3): the ends of system calls stand in; a TLS connection over io_uring has no endpoint'),
    uprobeMulti
      ? ok('uprobe links', 'by uprobe_multi')
      : note('uprobe links', 'the kernel has no uprobe_multi (Linux 6.6): perf events stand in; they are removed one by one, 0.1 s each'),
  ];
}

function checkFamily(addon: Addon, family: ProgramFamily): Check {
  return attempt(`programs: ${family}`, 'load and attach', () => withCapture(addon, { families: [family] }, () => undefined));
}

function checkRings(addon: Addon, ringBytes: number): Check {
  return attempt('rings', `${formatSize(ringBytes)} can be had`, () => withCapture(addon, { families: FAMILIES, ringBytes }, () => undefined));
}

/** Node has OpenSSL inside, with its symbols: the one program that is surely there. */
function checkProbe(addon: Addon): Check {
  return attempt('probe', `set into ${process.execPath} and taken out`, () => {
    const symbol = addon.readElf(process.execPath, ['SSL_read']).symbols[0];
    // A Node linked with a shared OpenSSL has none: any file offset in code will do, but we know of none.
    if (symbol === undefined) return;
    withCapture(addon, { families: ['process', 'tls'] }, (capture) => {
      const id = capture.attachUprobe({ program: 'ssl_read_enter', path: process.execPath, offset: symbol.offset, pid: process.pid, cookie: 0 });
      capture.detachUprobe(id);
    });
  });
}

type Opened = ReturnType<Addon['openCapture']>;

function withCapture(addon: Addon, options: Pick<CaptureOptions, 'families'> & Partial<CaptureOptions>, use: (capture: Opened) => void): void {
  const capture = addon.openCapture({
    ...CAPTURE_DEFAULTS,
    ringBytes: PROBE_RING_BYTES,
    ...options,
  });
  try {
    capture.load();
    use(capture);
  } finally {
    capture.close();
  }
}

function attempt(name: string, works: string, act: () => void): Check {
  try {
    act();
    return ok(name, works);
  } catch (cause) {
    const known = cause instanceof AgentsightError ? cause : undefined;
    return missing(name, causeText(cause), { fix: known?.hint ?? null, exit: known?.exitCode === 3 ? 3 : 4 });
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
