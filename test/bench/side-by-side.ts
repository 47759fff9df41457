/**
 * What pieces of work cost beside each other: in turns, so that each has the same good and bad moments of the machine, in
 * CPU time, which others cannot lengthen much, and the middle of the turns.
 */
import { median } from './figure.ts';

const TURNS = 7;

export type Work = () => void | Promise<void>;

/** Milliseconds of user and system time of each, garbage collection included. The first turn only warms up. */
export async function cpuMsOf<Name extends string>(works: Readonly<Record<Name, Work>>): Promise<Readonly<Record<Name, number>>> {
  const names = Object.keys(works) as Name[];
  const turns: Record<Name, number>[] = [];
  for (let turn = 0; turn <= TURNS; turn++) {
    const taken: Partial<Record<Name, number>> = {};
    for (const name of names) {
      const before = process.cpuUsage();
      // oxlint-disable-next-line no-await-in-loop
      await works[name]();
      const { user, system } = process.cpuUsage(before);
      taken[name] = (user + system) / 1000;
    }
    if (turn > 0) turns.push(taken as Record<Name, number>);
  }
  return Object.fromEntries(names.map((name) => [name, median(turns.map((taken) => taken[name]))])) as Record<Name, number>;
}
