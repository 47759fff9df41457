/**
 * Boots a kernel in qemu, with this machine's own files read-only as its root
 * (virtiofs), and runs one command there. Emulated (TCG): no KVM is needed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Kernel } from '../../src/setup/kernels.mjs';
import { ROOT, tempDir } from '../helpers/files.ts';
import { waitFor } from '../helpers/wait.ts';
import { buildInitramfs } from './initramfs.ts';

const MEMORY = '2G';
/** Where Debian 12, Debian 13 and Fedora put it. */
const VIRTIOFSD = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];

export interface GuestRun {
  /** Exit code of the command; null when the guest did not get as far as its end. */
  readonly code: number | null;
  /** What the command printed, and what the kernel said. */
  readonly output: string;
  readonly console: string;
  /** Content of the file that the command left under this name in $OUT, or null. */
  file(name: string): string | null;
}

export interface GuestOptions {
  readonly kernel: Kernel;
  /** Run by a shell in the checkout; $OUT is a folder whose files come back. */
  readonly script: string;
  /** The guest is ended after this long. */
  readonly limitMs: number;
}

/** Safe to run several at once. */
export async function runInGuest({ kernel, script, limitMs }: GuestOptions): Promise<GuestRun> {
  const dir = tempDir();
  const children: ChildProcess[] = [];
  try {
    const out = dir.file('out');
    mkdirSync(out);
    writeFileSync(join(out, 'script.sh'), script);
    writeFileSync(dir.file('initramfs'), buildInitramfs(kernel.modules, initScript(out)));
    const socket = dir.file('virtiofsd.socket');
    const daemon = spawn(findVirtiofsd(), [
      `--socket-path=${socket}`, '-o', 'source=/', '-o', 'cache=always', '-o', 'sandbox=chroot',
    ], { stdio: 'ignore' });
    children.push(daemon);
    await waitFor('virtiofsd to listen', () => existsSync(socket));
    const machine = spawn('qemu-system-x86_64', qemuArguments(kernel, dir.file('initramfs'), socket), { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(machine);
    const text: Buffer[] = [];
    machine.stdout.on('data', (chunk: Buffer) => text.push(chunk));
    machine.stderr.on('data', (chunk: Buffer) => text.push(chunk));
    const limit = setTimeout(() => machine.kill('SIGKILL'), limitMs);
    await once(machine, 'close');
    clearTimeout(limit);
    const files = new Map(['code', 'output', ...namesIn(script)].map((name) => [name, readIfThere(join(out, name))]));
    const code = files.get('code') ?? null;
    return {
      code: code === null ? null : Number(code),
      output: files.get('output') ?? '',
      console: Buffer.concat(text).toString('latin1'),
      file: (name) => files.get(name) ?? null,
    };
  } finally {
    for (const child of children) await end(child);
    dir.remove();
  }
}

/** The files that the script names as $OUT/NAME. */
const namesIn = (script: string): readonly string[] => [...script.matchAll(/\$OUT\/([\w.-]+)/g)].map(([, name]) => name ?? '');

const readIfThere = (path: string): string | null => (existsSync(path) ? readFileSync(path, 'utf8') : null);

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function findVirtiofsd(): string {
  const found = VIRTIOFSD.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`virtiofsd is in none of ${VIRTIOFSD.join(', ')}`);
  return found;
}

function qemuArguments(kernel: Kernel, initramfs: string, socket: string): readonly string[] {
  return [
    // Two processors, as races between them are part of what is tested.
    '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', MEMORY,
    '-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-nic', 'none', '-no-reboot',
    // virtiofsd reads and writes the guest's memory.
    '-object', `memory-backend-memfd,id=memory,size=${MEMORY},share=on`, '-numa', 'node,memdev=memory',
    '-chardev', `socket,id=files,path=${socket}`, '-device', 'vhost-user-fs-pci,chardev=files,tag=host',
    // Mitigations cost much under emulation, and nothing here depends on them. On a busy machine the timer is late: no reason to panic.
    '-kernel', kernel.image, '-initrd', initramfs, '-append', 'console=ttyS0 quiet panic=-1 mitigations=off no_timer_check nowatchdog',
  ];
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/**
 * The root is read-only, but for empty temporary folders and `out`. The
 * checkout is mounted once more: it may lie in one of those.
 */
function initScript(out: string): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
for module in /modules/*; do [ -e $module ] && insmod $module; done
mount -t virtiofs host /host || { dmesg | tail; poweroff -f; }
mount --bind /host /root
mount -o remount,bind,ro /root
mount -t proc none /root/proc
mount -t sysfs none /root/sys
mount -t tracefs none /root/sys/kernel/tracing
mount -t securityfs none /root/sys/kernel/security
mkdir -p /root/sys/fs/cgroup && mount -t cgroup2 none /root/sys/fs/cgroup
mount -t devtmpfs none /root/dev
mkdir -p /root/dev/shm /root/dev/pts
mount -t devpts none /root/dev/pts
for folder in tmp run var/tmp var/lib/agentsight-ts dev/shm; do mount -t tmpfs none /root/$folder 2>/dev/null; done
chmod 1777 /root/tmp /root/var/tmp /root/dev/shm
for folder in ${quoted(ROOT)} ${quoted(out)}; do mkdir -p "/root$folder"; mount --bind "/host$folder" "/root$folder"; done
mount -o remount,bind,ro /root${quoted(ROOT)}
ip link set lo up
cd /root
export OUT=${quoted(out)} PATH=${quoted(process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin')} HOME=/tmp
chroot /root sh -c 'cd "$1" && exec sh "$OUT/script.sh" > "$OUT/output" 2>&1' sh ${quoted(ROOT)}
echo $? > /root$OUT/code
sync
poweroff -f
`;
}
