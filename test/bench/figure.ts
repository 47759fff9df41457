/** A figure of a bench: what was measured, how, what it must reach, and how far from the floor it is. */

export interface Figure {
  readonly bench: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** `at least` or `at most` this; null for a figure that has no target. */
  readonly target: { readonly kind: 'at least' | 'at most'; readonly value: number } | null;
  /** What the same machine does in the same run without our part of the work. */
  readonly floor: { readonly value: number; readonly what: string } | null;
  readonly method: string;
}

export interface Bench {
  readonly name: string;
  readonly about: string;
  run(context: BenchContext): Promise<readonly Figure[]>;
}

export interface BenchContext {
  /** A folder that is removed when the bench ends. */
  readonly directory: string;
  /** Compiles test/programs/NAME.c and gives the program's path. */
  compile(name: string, libraries?: readonly string[]): string;
  /** How often to do what is usually done `usual` times: a tenth of it, at least once, with --quick. */
  rounds(usual: number): number;
  /** A line of progress. */
  note(text: string): void;
}

export function isReached({ value, target }: Figure): boolean {
  if (target === null) return true;
  return target.kind === 'at least' ? value >= target.value : value <= target.value;
}

/** Three significant digits, thousands marked. */
export function numberText(value: number): string {
  const digits = Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function figureLines(figure: Figure): string[] {
  const { value, unit, floor, method } = figure;
  const ratio = floor === null ? [] : [`    floor   ${numberText(floor.value)} ${unit}: ${floor.what}; ratio ${numberText(value / floor.value)}`];
  return [`  ${figure.name}: ${numberText(value)} ${unit}`.trimEnd(), ...ratio, `    method  ${method}`];
}

export function summaryTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    `${figure.bench}: ${figure.name}`,
    figure.target === null ? '-' : `${figure.target.kind} ${numberText(figure.target.value)}`,
    `${numberText(figure.value)} ${figure.unit}`,
    figure.floor === null ? '-' : `${numberText(figure.value / figure.floor.value)}x`,
    figure.target === null ? '' : isReached(figure) ? 'ok' : 'MISS',
  ]);
  const all = [['figure', 'target', 'reached', 'floor', ''], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n');
}

/** The middle one: a machine that is shared spoils single runs upwards and downwards. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error('no value to take the median of');
  return middle;
}
