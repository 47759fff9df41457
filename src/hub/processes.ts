/** Whether a pid that a file names is still the process that it meant. */
import { readFileSync, statSync } from 'node:fs';

/** The pid may be another program's by now; as root we could signal anything. */
export function isHubProcess(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').some((part) => /agentsight|src\/hub\/child|cli\/main/.test(part));
  } catch {
    return false;
  }
}

/** A zombie is no process any more. */
export function isProcessOf(pid: number, uid: number): boolean {
  try {
    if (statSync(`/proc/${pid}`).uid !== uid) return false;
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
