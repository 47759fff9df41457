/** A trace of one process for a moment: whether the plaintext of what it says over TLS is seen now, or why not. */
import { setTimeout as delay } from 'node:timers/promises';
import { launcherPath, loadAddon } from '../addon.ts';
import { causeText } from '../errors.ts';
import { createIdentity } from '../identity.ts';
import { createCaptureRunner, type CaptureRunner } from '../runners/capture.ts';
import type { TlsReportRow } from '../runners/tls-report.ts';
import { formatSize } from '../values.ts';
import { missing, note, ok } from './check.ts';
import type { Check } from './check.ts';

/** Most programs that talk at all say something within it; ended early when there is something to tell. */
const WATCH_MS = 2000;
const POLL_MS = 50;

/** Needs the privilege to trace. */
export async function watchTarget(pid: number): Promise<Check> {
  const name = `pid ${pid}: seen`;
  try {
    const rows = await watch(createCaptureRunner({
      addon: loadAddon(), launcherPath: launcherPath(), identity: createIdentity(), pids: [pid], families: ['process', 'net', 'tls'],
    }));
    return describe(name, pid, rows);
  } catch (cause) {
    return missing(name, causeText(cause), { fix: null, exit: 0 });
  }
}

async function watch(runner: CaptureRunner): Promise<readonly TlsReportRow[]> {
  const done = new Promise<void>((resolve, reject) => {
    runner.batches.subscribe({ error: reject, complete: resolve });
  });
  done.catch(() => undefined);
  await runner.ready;
  const endMs = performance.now() + WATCH_MS;
  while (!runner.tlsReport().some(isTelling) && performance.now() < endMs) await Promise.race([delay(POLL_MS), done]);
  await runner.stop();
  await done;
  return runner.tlsReport();
}

function isTelling(row: TlsReportRow): boolean {
  return row.speaks || row.readBytes + row.writtenBytes > 0;
}

/** Its descendants are part of it. */
function describe(name: string, pid: number, rows: readonly TlsReportRow[]): Check {
  const sum = (value: (row: TlsReportRow) => number): number => rows.reduce((total, row) => total + value(row), 0);
  const unseen = rows.find((row) => row.speaks);
  const reason = unseen === undefined ? null : `${unseen.pid === pid ? '' : `pid ${unseen.pid} `}${unseen.comm}: ${unseen.reason ?? 'speaks TLS'}`;
  if (rows.some((row) => row.readBytes + row.writtenBytes > 0)) {
    const read = formatSize(sum((row) => row.readBytes));
    const written = formatSize(sum((row) => row.writtenBytes));
    const text = `${read} of TLS plaintext read and ${written} written while it was watched`;
    return reason === null ? ok(name, text) : note(name, `${text}; ${reason}`);
  }
  if (reason !== null) return missing(name, reason, { fix: null, exit: 0 });
  return note(name, `it spoke no TLS within ${WATCH_MS / 1000} s: watch it for longer with agentsight-ts trace`);
}
