/**
 * Finds records that never arrived: the kernel numbers them per cpu. An
 * interrupted probe may submit after a later one of its cpu, so a number below
 * the highest is late, not wrong, and what is missing is counted as numbers
 * given out less records seen.
 */
export interface SequenceCheck {
  /** The two words of `sequence`: cpu << 48 | number. */
  see(low: number, high: number): void;
  /** Over all cpus, since the first record of each. */
  missing(): number;
  /** Records of one cpu. */
  seenOf(cpu: number): number;
}

interface Cpu {
  first: number;
  last: number;
  seen: number;
}

export function createSequenceCheck(): SequenceCheck {
  const cpus: (Cpu | undefined)[] = [];
  return {
    see(low, high) {
      const cpu = high >>> 16;
      const number = (high & 0xffff) * 0x1_0000_0000 + low;
      const state = cpus[cpu];
      if (state === undefined) {
        cpus[cpu] = { first: number, last: number, seen: 1 };
        return;
      }
      state.seen++;
      if (number > state.last) state.last = number;
      else if (number < state.first) state.first = number;
    },
    seenOf: (cpu) => cpus[cpu]?.seen ?? 0,
    missing: () => cpus.reduce((sum, cpu) => (cpu === undefined ? sum : sum + cpu.last - cpu.first + 1 - cpu.seen), 0),
  };
}
