/**
 * Messages between a collector and its hub. On one machine they travel over a
 * Unix socket; the same messages will travel over WebSocket from other nodes.
 *
 * A frame on the socket: u32 little-endian length of what follows, u8 type,
 * body. Bodies are JSON, but for `batch`: u64 little-endian sequence, then the
 * events as JSONL bytes, passed on to the store as they are.
 *
 * A collector numbers its batches from 1, sends them in order, and keeps each
 * until the hub acknowledges it, which the hub does when the store has it. After
 * a reconnect it sends again whatever was not acknowledged; the store drops a
 * batch that it already has by the token `<collector>:<sequence>`.
 */
import { z } from 'zod';

export const PROTOCOL_VERSION = 1;

export const FRAME = {
  hello: 1,
  welcome: 2,
  batch: 3,
  ack: 4,
  stats: 5,
  refused: 6,
  bye: 7,
} as const;

/** First message of a collector. `collector` is `<host>.<boot>.<collector>`, the start of its event ids. */
export const helloSchema = z.object({
  protocol: z.int(),
  version: z.string().max(64),
  collector: z.string().min(1).max(128),
  host: z.string().min(1).max(256),
  boot: z.string().min(1).max(64),
  pid: z.int().nonnegative(),
  command: z.array(z.string()).max(4096),
  redaction: z.boolean(),
});
export type Hello = z.infer<typeof helloSchema>;

export const welcomeSchema = z.object({
  protocol: z.int(),
  version: z.string(),
  hub: z.string(),
  /** Page address with its token. */
  url: z.string(),
});
export type Welcome = z.infer<typeof welcomeSchema>;

/** Everything up to `sequence` is in the store. */
export const ackSchema = z.object({ sequence: z.int().nonnegative() });
export type Ack = z.infer<typeof ackSchema>;

/** What each stage of the collector handled and refused, once a second and at the end. */
export const statsSchema = z.object({
  stages: z.array(z.object({ stage: z.string(), counters: z.record(z.string(), z.number()) })).max(64),
});
export type Stats = z.infer<typeof statsSchema>;

/** The hub will not take this collector: `code` is of the error registry. */
export const refusedSchema = z.object({ code: z.string(), message: z.string() });
export type Refused = z.infer<typeof refusedSchema>;
