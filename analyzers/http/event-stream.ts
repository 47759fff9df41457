/**
 * The `text/event-stream` body of one response: an `sse` event for each event of it,
 * emitted when its last byte arrived. SecretMarks are looked for block by block,
 * because an event leaves before the body is whole; the body and the capture
 * are masked by the same blocks.
 */
import type { SecretMarks, SseData, SseEvent } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import type { Head } from '../http1/head.ts';
import { type Block, type BlockSplitter, createBlockSplitter } from '../sse/blocks.ts';
import { type SseFields, type SseParser, createSseParser, parseBlock } from '../sse/parser.ts';
import type { Channel } from './channel.ts';
import { joinMarks } from '../redact/marks.ts';
import { createSpelling } from '../redact/spelled.ts';
import { type Range, masked, secretsOf } from './mask.ts';

/** The exchange that the stream belongs to. */
export interface StreamOwner {
  readonly id: string;
  readonly url: string;
  /** First byte of its request; null where that was not captured. */
  readonly asked: Nanoseconds | null;
}

export interface EventStream {
  readonly blocks: BlockSplitter;
  readonly parser: SseParser;
  count: number;
}

const NO_RANGES: readonly Range[] = [];

/** Told of each block, with the ranges of its secrets in bytes of the body. */
export type OnBlockRead = (ranges: readonly Range[], end: number) => void;

export function isEventStream(head: Head): boolean {
  const type = head.headers['content-type']?.[0];
  return type !== undefined && type.slice(0, 17).toLowerCase() === 'text/event-stream';
}

export function createEventStream(channel: Channel, owner: StreamOwner, onBlockRead: OnBlockRead): EventStream {
  const { environment } = channel;
  const stream: EventStream = {
    blocks: createBlockSplitter(environment.limits.sseEventBytes, readBlock),
    parser: createSseParser(),
    count: 0,
  };

  const spelling = createSpelling(environment.locate);

  function secretsIn(bytes: Buffer): readonly Range[] {
    if (environment.locate === undefined) return NO_RANGES;
    const own = environment.locate('text', bytes);
    const spelled = spelling?.take(bytes, 'data') ?? NO_RANGES;
    return spelled.length === 0 ? own : [...own, ...spelled];
  }

  function readBlock(block: Block): void {
    const ranges = secretsIn(block.bytes);
    onBlockRead(ranges.length === 0 ? ranges : ranges.map((range) => ({ ...range, start: block.start + range.start, end: block.start + range.end })), block.end);
    if (block.kind === 'unfinished') environment.counters.add('sse_unfinished');
    if (block.kind === 'cut') environment.counters.add('sse_truncated');
    if (block.kind === 'rest' || block.kind === 'unfinished') return;
    const fields = parseBlock(stream.parser, masked(block.bytes, ranges));
    if (fields === null) return;
    environment.counters.add('sse_events');
    const secrets = joinMarks([], secretsOf(ranges), (count) => environment.counters.add('secrets_unlisted', count));
    environment.derive(sseEvent(channel, { owner, index: stream.count++, fields, truncated: block.kind === 'cut', secrets }));
  }

  return stream;
}

interface Told {
  readonly owner: StreamOwner;
  readonly index: number;
  readonly fields: SseFields;
  readonly truncated: boolean;
  readonly secrets: SecretMarks;
}

function sseEvent(channel: Channel, { owner, index, fields, truncated, secrets }: Told): SseEvent {
  const { timestamp, pid, comm, process, session } = channel.carrier;
  const data: SseData = {
    exchange: owner.id,
    connection: channel.connection,
    url: owner.url,
    index,
    event: fields.event,
    data: fields.data,
    last_event_id: fields.lastEventId,
    retry_ms: fields.retryMs,
    since_request_ms: owner.asked === null ? null : differenceMs(timestamp, owner.asked),
    truncated,
  };
  return {
    timestamp, source: 'sse', pid, comm, data: secrets.length === 0 ? data : { ...data, secrets },
    id: channel.environment.nextId(), process, session,
  };
}
