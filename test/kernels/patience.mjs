// @ts-check
/**
 * Preloaded into vitest in a guest. It gives up on a worker that has not
 * started within a minute, and no option says otherwise: emulated on a busy
 * machine that is too soon.
 */
const FACTOR = 20;
const LONG_MS = 60_000;

const { setTimeout: original } = globalThis;
/** @type {(callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => NodeJS.Timeout} */
const patient = (callback, delayMs = 0, ...args) => original(callback, delayMs < LONG_MS ? delayMs : delayMs * FACTOR, ...args);
// What makes a promise of it is a property of its own.
Object.assign(globalThis, { setTimeout: Object.assign(patient, original) });
