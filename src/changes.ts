/** Waiting for the next change of something without polling it: a change wakes everybody who waits. */
export interface Changes {
  next(): Promise<void>;
  tell(): void;
}

export function createChanges(): Changes {
  let waiters: (() => void)[] = [];
  return {
    next: () => new Promise((resolve) => waiters.push(resolve)),
    tell() {
      const woken = waiters;
      waiters = [];
      for (const resolve of woken) resolve();
    },
  };
}
