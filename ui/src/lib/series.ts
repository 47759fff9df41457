/**
 * Spans of one line of a lane in typed arrays, by start. Drawing asks for the
 * next span that reaches beyond what is already painted, and gets it by binary
 * search: the cost of a frame is the number of pixels, not of events.
 */
const FIRST_CAPACITY = 16;

export class Series {
  #starts = new Float64Array(FIRST_CAPACITY);
  /** The latest end up to each span: it never falls, so it can be searched although spans of one line may overlap. */
  #reach = new Float64Array(FIRST_CAPACITY);
  #indexes = new Int32Array(FIRST_CAPACITY);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Where the row of a span lies in its track. */
  indexAt(position: number): number {
    return this.#indexes[position] as number;
  }

  startAt(position: number): number {
    return this.#starts[position] as number;
  }

  push(index: number, start: number, end: number): void {
    if (this.#length === this.#starts.length) this.#grow();
    const before = this.#length === 0 ? Number.NEGATIVE_INFINITY : (this.#reach[this.#length - 1] as number);
    this.#starts[this.#length] = start;
    this.#reach[this.#length] = Math.max(before, end);
    this.#indexes[this.#length] = index;
    this.#length += 1;
  }

  /** Forgets the spans whose row is at `index` or behind it. */
  truncate(index: number): void {
    this.#length = search(this.#indexes, index, 0, this.#length);
  }

  /** First position at or after `after` of a span that ends at `time` or later. */
  reaching(time: number, after = 0): number {
    // Galloping: the next span to paint is mostly near.
    let step = 1;
    let low = after;
    while (low + step < this.#length && (this.#reach[low + step] as number) < time) {
      low += step;
      step *= 2;
    }
    return search(this.#reach, time, low, Math.min(this.#length, low + step + 1));
  }

  /** How many spans start before `time`. */
  before(time: number): number {
    return search(this.#starts, time, 0, this.#length);
  }

  #grow(): void {
    const capacity = this.#length * 2;
    this.#starts = resized(this.#starts, new Float64Array(capacity));
    this.#reach = resized(this.#reach, new Float64Array(capacity));
    this.#indexes = resized(this.#indexes, new Int32Array(capacity));
  }
}

function resized<T extends Float64Array | Int32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** First position in `low..high` whose value is not below `value`. */
function search(values: Float64Array | Int32Array, value: number, low: number, high: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
