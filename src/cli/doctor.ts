/** `agentsight-ts doctor`: what this kernel, this user and a target allow, each missing thing with what mends it. */
import type { Check, CheckStatus } from '../doctor/check.ts';
import { checkKernel } from '../doctor/kernel.ts';
import { checkPrivilege, effectiveCapabilities, mayTrace } from '../doctor/privilege.ts';
import { checkStorage } from '../doctor/storage.ts';
import { checkTarget } from '../doctor/target.ts';
import type { Context } from './context.ts';

export interface DoctorRequest {
  readonly pids: readonly number[];
  readonly json: boolean;
}

/** 0 when a trace will work, else the exit code that the trace would end with. */
export async function runDoctor({ pids, json }: DoctorRequest, { config: { settings }, user }: Context): Promise<number> {
  const held = effectiveCapabilities();
  const checks = [
    ...checkPrivilege(held),
    ...checkKernel({ ringBytes: settings.ringSize, privileged: mayTrace(held) }),
    ...(await Promise.all(pids.map((pid) => checkTarget(pid, mayTrace(held))))).flat(),
    ...(await checkStorage(settings, user)),
  ];
  const exit = checks.find((check) => check.exit !== 0)?.exit ?? 0;
  process.stdout.write(json ? `${JSON.stringify({ works: exit === 0, checks }, null, 2)}\n` : `${render(checks, exit === 0)}\n`);
  return exit;
}

const SIGNS: Readonly<Record<CheckStatus, { readonly sign: string; readonly colour: number }>> = {
  ok: { sign: '✓', colour: 32 },
  missing: { sign: '✗', colour: 31 },
  note: { sign: '!', colour: 33 },
};

function render(checks: readonly Check[], works: boolean): string {
  const coloured = process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, status, text, fix }) => {
    const { sign, colour } = SIGNS[status];
    const mark = coloured ? `\u001b[${colour}m${sign}\u001b[0m` : sign;
    const line = `${mark} ${name.padEnd(width)}  ${text}`;
    return fix === null ? [line] : [line, `  ${''.padEnd(width)}  fix: ${fix}`];
  });
  return [...lines, '', works ? 'tracing works here' : 'tracing will not work here before what is marked ✗ is mended'].join('\n');
}
