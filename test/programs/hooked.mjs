// For programs that nobody has run before: they are searched, and hooked, a moment after their start.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Resolves when trace.jsonl in FOLDER says that the program is hooked. */
export async function waitUntilHooked(folder, program) {
  const isHooked = () => readFileSync(join(folder, 'trace.jsonl'), 'utf8').split('\n').some((line) => line.includes('"attached"') && line.includes(program));
  while (!isHooked()) await delay(20);
}
