/**
 * Every limit of the program that is not a kernel record's (those are in
 * bpf/event.h): its value, where the number comes from, and what happens at
 * it. Each one has a counter where it is enforced.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /** All rings together. A ring is mapped twice, so 16 MiB shows as 33 MB resident. */
  ringBytes: 16 * MIB,
  /** Payload kept of one call; the rest is counted and the event marked. A 1 MiB write must be whole. */
  payloadBytesPerCall: 4 * MIB,
  /** Batches between the drain thread and JavaScript; beyond it the ring fills and the kernel counts. */
  addonQueuedBytes: 8 * MIB,

  /** Connections with parser state; the longest idle one is dropped and counted. */
  connections: 4096,
  /** A connection with no byte for this long is flushed and forgotten. */
  connectionIdleMs: 10 * 60_000,
  /** Start line and headers of one message: nginx and Node accept far less. */
  httpHeadBytes: 256 * KIB,
  /** Body kept of one message; more is counted and the event marked. */
  httpBodyBytes: 8 * MIB,
  /** Body bytes kept over all connections, so that many streams cannot exceed the collector's memory. */
  httpBodyBytesTotal: 64 * MIB,
  /** Requests that wait for a response on one connection (pipelining); more mark the connection lost. */
  httpPendingPerConnection: 256,
  /** One event of an SSE stream. */
  sseEventBytes: 1 * MIB,

  /** Events and bytes of one batch to a sink or over the link. */
  batchEvents: 2000,
  batchBytes: 1 * MIB,
  /** How long an event may wait for its batch: the page promises half a second in all. */
  batchDelayMs: 100,
  /** Bytes a file sink may hold while the disk is slow; more is refused and counted. */
  fileQueuedBytes: 32 * MIB,
  /** Rotation of the JSONL file. */
  fileRotateBytes: 512 * MIB,
  fileRotateKeep: 5,
  /** Unacknowledged batches held in memory; more go to the spool on disk. */
  linkUnackedBytes: 16 * MIB,
  /** Spool on disk while the hub cannot be reached; the oldest segment is dropped and counted. */
  spoolBytes: 1024 * MIB,
  /** One frame of the link; a longer one ends the connection. */
  linkFrameBytes: 64 * MIB,

  /** Store: size and age, oldest partitions dropped first. */
  storeBytes: 5 * 1024 * MIB,
  storeDays: 14,
  /** Live stream: frames a second to one page, events in one frame, bytes queued for a slow page. */
  liveFramesPerSecond: 20,
  liveEventsPerFrame: 2000,
  liveQueuedBytes: 8 * MIB,
  /** Largest page of a REST list. */
  pageEvents: 5000,
  /** The hub leaves this long after its last collector and page. */
  hubIdleMs: 10 * 60_000,
} as const;
