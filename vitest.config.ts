/**
 * One project per tier. `npm test` runs the tiers in order, each in a vitest
 * of its own; `npx vitest run FILE` works by hand.
 */
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const MINUTE_MS = 60_000;

export default defineConfig({
  test: {
    environment: 'node',
    // Nothing may pass because it was not there.
    passWithNoTests: false,
    allowOnly: false,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/tidy.test.ts', 'test/unit/**/*.test.ts'],
          // These load nothing and wait for little: all processors, where vitest would leave one idle.
          maxWorkers: availableParallelism(),
          // Modules are loaded once for all files of a worker, which takes a third off: no test may change what another one imports.
          isolate: false,
          testTimeout: MINUTE_MS,
        },
      },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          // Each file loads programs into the one kernel and measures what arrives: side by side they starve each other.
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 4 * MINUTE_MS,
          hookTimeout: 4 * MINUTE_MS,
        },
      },
      {
        test: {
          name: 'hub',
          include: ['test/hub/**/*.test.ts'],
          // An embedded engine takes half a gigabyte: one at a time.
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 4 * MINUTE_MS,
          hookTimeout: 4 * MINUTE_MS,
        },
      },
      {
        test: {
          name: 'ui',
          include: ['test/ui/**/*.test.ts'],
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 4 * MINUTE_MS,
          hookTimeout: 4 * MINUTE_MS,
        },
      },
      {
        test: {
          name: 'kernels',
          include: ['test/kernels/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'agents',
          include: ['test/agents/**/*.test.ts'],
          // As in the kernel tier; and each of these programs is a few hundred megabytes.
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 3 * MINUTE_MS,
          hookTimeout: 2 * MINUTE_MS,
        },
      },
    ],
  },
});
