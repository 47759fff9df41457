/** What a trace of one process would find: whether it is there, and where its TLS would be hooked. */
import { loadAddon } from '../addon.ts';
import type { MappedFile } from '../addon.ts';
import { causeText } from '../errors.ts';
import type { ProbeStep } from '../event.ts';
import { createLadder } from '../runners/locate/ladder.ts';
import type { Found, Ladder } from '../runners/locate/ladder.ts';
import { ioUringText } from '../runners/io-uring.ts';
import { namedPath, placeOf } from '../runners/mapped-file.ts';
import { hasIoUring } from '../runners/open-ends.ts';
import { hasEnded, readExecutableMappings, readLink, readStat } from '../runners/proc.ts';
import { missing, note, ok } from './check.ts';
import type { Check } from './check.ts';
import { watchTarget } from './watch.ts';

/** `privileged`: a trace of it may be tried. */
export async function checkTarget(pid: number, privileged: boolean): Promise<readonly Check[]> {
  const name = `pid ${pid}`;
  const stat = readStat(pid);
  if (stat === null) return [missing(name, 'there is no such process', { fix: 'find it with: pgrep -a NAME', exit: 5 })];
  if (hasEnded(stat)) return [missing(name, `${stat.comm} has ended and only waits for its parent`, { fix: null, exit: 5 })];
  const executable = readLink(`/proc/${pid}/exe`);
  const mappings = readExecutableMappings(pid);
  if (executable === null || mappings === null) {
    const kernelThread = readLink(`/proc/${pid}/exe`) === null && process.getuid?.() === 0;
    if (kernelThread) return [missing(name, `${stat.comm} is a kernel thread: there is nothing to trace`, { fix: null, exit: 5 })];
    return [missing(name, `${stat.comm} may not be looked at by this user`, { fix: `sudo agentsight-ts doctor --pid ${pid}`, exit: 3 })];
  }
  const ioUring = checkIoUring(name, pid, stat.comm);
  const watched = privileged ? [await watchTarget(pid)] : [];
  return [ok(name, `${stat.comm}, ${executable}`), ...(await checkTls(name, mappings)), ...watched, ...ioUring];
}

function checkIoUring(name: string, pid: number, comm: string): readonly Check[] {
  let leftOut = 0;
  if (hasIoUring(pid, (count) => (leftOut = count))) return [note(`${name}: io_uring`, ioUringText(pid, comm))];
  return leftOut === 0 ? [] : [note(`${name}: io_uring`, `${leftOut} of its descriptors were not looked at`)];
}

async function checkTls(name: string, mappings: readonly MappedFile[]): Promise<readonly Check[]> {
  let ladder: Ladder;
  try {
    // Searched anew, whatever was kept: the answer is about this file as it is.
    ladder = createLadder({ readElf: loadAddon().readElf, store: null });
  } catch (cause) {
    return [missing(`${name}: tls`, causeText(cause), { fix: 'npm run setup', exit: 4 })];
  }
  const looked: { readonly path: string; readonly found: Found }[] = [];
  for (const mapping of mappings) {
    const place = placeOf(mapping);
    if (place !== null) looked.push({ path: namedPath(mapping), found: await ladder.locate(place) });
  }
  const checks = looked.flatMap(({ path, found }) => describe(`${name}: tls`, path, found));
  if (checks.length > 0) return checks;
  // Nothing anywhere: of the program itself, whose file comes first, what was tried is told.
  const program = looked.slice(0, 1).flatMap(({ path, found }) => found.steps.map((step) => note(`${name}: tls`, `${path}: ${stepText(step)}`)));
  return [note(`${name}: tls`, 'no TLS library found in it now; one that it loads later is hooked then'), ...program];
}

/** Nothing for a file without TLS. */
function describe(name: string, path: string, { plan, buildId, steps }: Found): Check[] {
  const tried = steps.map(stepText).join('; ');
  switch (plan.kind) {
    case 'none':
      return [];
    case 'hook': {
      const place = `${plan.library} in ${path}${buildId === null ? '' : `, build id ${buildId}`}`;
      const offsets = plan.probes.map(({ program, offset }) => `${program} 0x${offset.toString(16)}`).join(', ');
      return [ok(name, `${place}, hooked at ${plan.functions.join(', ')} (${offsets}); ${tried}`)];
    }
    case 'unsupported':
      return [missing(name, `${path}: ${plan.reason}; ${tried}`, { fix: null, exit: 0 })];
    case 'failed':
      return [note(name, `${path}: ${plan.reason}`)];
  }
}

function stepText({ step, outcome }: ProbeStep): string {
  return `${step}: ${outcome}`;
}
