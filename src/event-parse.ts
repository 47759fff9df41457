/**
 * Events from their JSON form, as `event-json.ts` writes it: a line is checked
 * by the schema of its source before anything trusts it.
 */
import { z } from 'zod';
import { AgentsightError } from './errors.ts';
import type { Event } from './event.ts';
import { SOURCES } from './event.ts';
import { dataSchemas, envelopeSchema } from './event-schema.ts';
import { nanoseconds, type Nanoseconds } from './time.ts';

const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Throws CAPTURE_UNREADABLE, saying what is wrong with the line. */
export function parseLine(line: string): Event {
  const { timestamp, value } = readLine(line);
  const envelope = envelopeSchema.safeParse(value);
  if (!envelope.success) throw unreadable(z.prettifyError(envelope.error), envelope.error);
  const { source, pid, comm, id, process, session } = envelope.data;
  const schema = SOURCES.find((known) => known === source);
  if (schema === undefined) {
    throw unreadable(`unknown source ${JSON.stringify(source)}`, undefined, 'it was written by another program or a newer version');
  }
  const data = 'data' in value ? value.data : undefined;
  const checked = dataSchemas[schema].safeParse(data);
  if (!checked.success) throw unreadable(`${source} data: ${z.prettifyError(checked.error)}`, checked.error);
  // The schema proved the shape; the value itself is kept, with its key order and the keys of newer versions.
  return { timestamp, source, pid, comm, data: withPayloadBytes(withDefaults(data as object, checked.data)), id, process, session } as unknown as Event;
}

const TIMESTAMP_FIRST = /^\s*\{\s*"timestamp"\s*:\s*(\d{1,20})\s*([,}])/;

/** The digits of the timestamp are taken from the text: a double would lose the last ones. */
function readLine(line: string): { timestamp: Nanoseconds; value: object } {
  const value = parseObject(line);
  const digits = TIMESTAMP_FIRST.exec(line)?.[1];
  if (digits === undefined) throw unreadable('"timestamp" is not its first key, or not a bare integer of nanoseconds');
  const timestamp = BigInt(digits);
  if (timestamp > U64_MAX) throw unreadable(`timestamp ${digits} exceeds 64 bits`);
  return { timestamp: nanoseconds(timestamp), value };
}

function parseObject(line: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw unreadable('not whole JSON', cause, 'a line is cut when its writer was killed or its disk was full');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unreadable('not a JSON object');
  return value;
}

/** Keys that an earlier version did not write yet. */
function withDefaults(data: object, checked: object): object {
  const missing = Object.entries(checked).filter(([name]) => !Object.hasOwn(data, name));
  return missing.length === 0 ? data : Object.fromEntries([...Object.entries(data), ...missing]);
}

/** The same data with `payload` as bytes; entries, not assignment, so that no key can reach the prototype. */
export function withPayloadBytes(data: object): object {
  if (!('payload' in data) || !('payload_encoding' in data)) return data;
  const { payload, payload_encoding: encoding } = data;
  if (typeof payload !== 'string') return data;
  const bytes = Buffer.from(payload, encoding === 'base64' ? 'base64' : 'utf8');
  return Object.fromEntries(
    Object.entries(data).flatMap(([name, value]) => {
      if (name === 'payload_encoding') return [];
      return [[name, name === 'payload' ? bytes : value] as const];
    }),
  );
}

function unreadable(what: string, cause?: unknown, hint?: string): AgentsightError {
  return new AgentsightError('CAPTURE_UNREADABLE', `could not read an event: ${what}`, { cause, hint });
}
