/** `agentsight-ts schema`: JSON Schema of one line of a capture. */
import { jsonSchema } from '../event-schema.ts';

export function printSchema(): number {
  process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  return 0;
}
