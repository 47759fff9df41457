/** Where the files of a bench lie that must not measure a disk. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const MEMORY_FOLDER = '/dev/shm';

/** In memory where the machine has a tmpfs. */
export function memoryFolder(): string {
  return existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir();
}
