/** Sums of what was lost, by stage, source and cause; largest first. */
import { number, text } from './read.ts';
import type { Row } from './row.ts';

export interface StageLoss {
  readonly key: string;
  readonly stage: string;
  readonly of: string;
  readonly cause: string;
  readonly lost: number;
}

export function lossByStage(rows: readonly Row[]): readonly StageLoss[] {
  const sums = new Map<string, StageLoss>();
  for (const { data } of rows) {
    if (data === null) continue;
    const [stage, of, cause] = [text(data, 'stage'), text(data, 'of'), text(data, 'cause')];
    const key = `${stage}\n${of}\n${cause}`;
    sums.set(key, { key, stage, of, cause, lost: (sums.get(key)?.lost ?? 0) + number(data, 'lost') });
  }
  return [...sums.values()].sort((a, b) => b.lost - a.lost);
}
