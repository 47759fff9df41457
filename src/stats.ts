/**
 * Counters: what each stage handled and what it refused. A stage owns its
 * counters; whoever reports reads them all through `snapshot`.
 */
export class Counters<Name extends string> {
  readonly #values: Record<Name, number>;

  constructor(names: readonly Name[]) {
    this.#values = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  }

  add(name: Name, amount = 1): void {
    this.#values[name] += amount;
  }

  get(name: Name): number {
    return this.#values[name];
  }

  snapshot(): Readonly<Record<Name, number>> {
    return { ...this.#values };
  }
}

/** What a stage reports of itself: shown in the summary, the API and the page. */
export interface StageStats {
  readonly stage: string;
  readonly counters: Readonly<Record<string, number>>;
}
