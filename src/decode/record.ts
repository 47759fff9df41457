import type { ProcessEntry } from './process-table.ts';

/** One record: where it lies, and whose it is. */
export interface RecordView {
  readonly batch: Buffer;
  readonly view: DataView;
  readonly offset: number;
  readonly size: number;
  readonly process: ProcessEntry;
}
