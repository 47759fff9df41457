/**
 * Masks credentials with `*` at equal length, so that lengths in the text stay
 * true and masking twice changes nothing. Each is named in the `secrets` of its event.
 *
 * Live, `http`, `sse` and `websocket` events and raw `tls` chunks come masked from the http
 * analyzer, by `locateSecrets`; this operator masks command lines, lines of shells, paths and stdio, whose
 * chunks wait where a secret may go on (`redact/stdio.ts`). A
 * replay asks it to mask derived events too, because their capture may have been
 * made without redaction.
 */
import { Observable, type MonoTypeOperatorFunction, type SchedulerLike, type Subscription } from 'rxjs';
import type { Event, ExecData, FileEvent, GrpcData, GrpcMessage, HeaderList, Headers, HttpData, ProtobufField, SecretMarks, TextEncoding, WebsocketData } from '../src/event.ts';
import { LIMITS } from '../src/limits.ts';
import { Counters } from '../src/stats.ts';
import { rangesInArgument } from './redact/arguments.ts';
import { maskRanges as maskedText } from './redact/find.ts';
import { createSecretLocator, locateSecrets, rangesInBytes, rangesInHeader, rangesInText, type SecretRange } from './redact/locate.ts';
import { type Fingerprint, type MarkOptions, joinMarks, marksIn } from './redact/marks.ts';
import { STDIO_COUNTERS, type StdioLimits, type StdioSecrets, TICKS, createStdioSecrets } from './redact/stdio.ts';

export { maskCommand } from './redact/arguments.ts';
export { createSecretLocator, locateSecrets } from './redact/locate.ts';
export type { Fingerprint } from './redact/marks.ts';

const COUNTERS = ['masked_events', 'masked_secrets', 'secrets_unlisted', ...STDIO_COUNTERS] as const;
export type RedactCounters = Counters<(typeof COUNTERS)[number]>;

export function createRedactCounters(): RedactCounters {
  return new Counters(COUNTERS);
}

export interface RedactOptions {
  readonly enabled: boolean;
  readonly counters?: RedactCounters;
  /** Names what is masked, in the `secrets` of its event. */
  readonly fingerprint?: Fingerprint;
  /** Mask `http`, `sse` and `websocket` events, too. */
  readonly derived?: boolean;
  readonly limits?: Partial<StdioLimits>;
  /** Lets chunks of stdio go although no event comes; without it only the time of events counts. */
  readonly scheduler?: SchedulerLike | undefined;
}

export function redact(options: RedactOptions): MonoTypeOperatorFunction<Event> {
  if (!options.enabled) return (events) => events;
  return (source) => new Observable<Event>((subscriber) => {
    const counters = options.counters ?? createRedactCounters();
    const limits = { ...LIMITS, ...options.limits };
    const mask = createMask(options, counters);
    const locate = options.fingerprint === undefined ? locateSecrets : createSecretLocator(options.fingerprint);
    const stdio = createStdioSecrets({
      limits,
      locate: (bytes) => locate('text', bytes),
      count: (name, count) => counters.add(name, count),
      emit(event, marks) {
        subscriber.next(mask.named(event, marks));
      },
    });
    const timer = ticking(options.scheduler, limits.stdioHeldMs / TICKS, stdio);
    subscriber.add(() => timer.stop());
    subscriber.add(source.subscribe({
      next(event) {
        if (stdio.isWaiting) stdio.expire(event.timestamp);
        if (event.source === 'stdio') {
          stdio.take(event);
          timer.start();
          return;
        }
        if (event.source === 'process' && event.data.event === 'EXIT') stdio.endProcess(event.process ?? event.pid);
        subscriber.next(mask.event(event));
      },
      error(cause: unknown) {
        stdio.flush();
        subscriber.error(cause);
      },
      complete() {
        stdio.flush();
        subscriber.complete();
      },
    }));
  });
}

/** Ticks while anything waits. */
function ticking(scheduler: SchedulerLike | undefined, periodMs: number, stdio: StdioSecrets): { start(): void; stop(): void } {
  let next: Subscription | undefined;
  const start = (): void => {
    if (scheduler === undefined || next !== undefined || !stdio.isWaiting) return;
    next = scheduler.schedule(() => {
      next = undefined;
      stdio.tick();
      start();
    }, periodMs);
  };
  return { start, stop: () => next?.unsubscribe() };
}

interface Mask {
  event(event: Event): Event;
  /** The same event, with names of what was masked in it. */
  named<Named extends Event>(event: Named, marks: SecretMarks): Named;
}

function createMask({ fingerprint, derived = false }: RedactOptions, counters: RedactCounters): Mask {
  /** Of the event that is being masked. */
  const marks: string[] = [];
  return {
    event(event) {
      const before = counters.get('masked_secrets');
      marks.length = 0;
      const masked = maskEvent(event);
      if (counters.get('masked_secrets') !== before) counters.add('masked_events');
      return named(masked, marks);
    },
    named,
  };

  function named<Named extends Event>(event: Named, more: SecretMarks): Named {
    if (more.length === 0) return event;
    const known = 'secrets' in event.data ? event.data.secrets ?? [] : [];
    const secrets = joinMarks(known, more, (count) => counters.add('secrets_unlisted', count));
    return { ...event, data: { ...event.data, secrets } } as Named;
  }

  function note(text: string, ranges: readonly SecretRange[], encoding: MarkOptions['encoding']): void {
    counters.add('masked_secrets', ranges.length);
    if (fingerprint === undefined) return;
    for (const range of ranges) marks.push(...marksIn(text, range, { fingerprint, encoding }));
  }

  function maskEvent(event: Event): Event {
    switch (event.source) {
      case 'process':
        if (event.data.event !== 'EXEC') return event;
        return { ...event, data: maskExec(event.data) };
      case 'file':
        return maskFile(event);
      case 'readline': {
        const line = maskText(event.data.line);
        return line === event.data.line ? event : { ...event, data: { ...event.data, line } };
      }
      case 'http':
        return derived ? { ...event, data: maskExchange(event.data) } : event;
      case 'body':
        return derived ? { ...event, data: { ...event.data, url: maskText(event.data.url), body: maskBody(event.data.body, event.data.body_encoding) ?? '' } } : event;
      case 'sse':
        return derived ? { ...event, data: { ...event.data, url: maskText(event.data.url), data: maskText(event.data.data) } } : event;
      case 'websocket':
        return derived ? { ...event, data: maskWebsocket(event.data) } : event;
      default:
        return event;
    }
  }

  function maskFile(event: FileEvent): FileEvent {
    const { data } = event;
    const path = maskText(data.path);
    const target = data.event === 'IO' || data.target === null ? null : maskText(data.target);
    if (path === data.path && (data.event === 'IO' || target === data.target)) return event;
    return { ...event, data: data.event === 'IO' ? { ...data, path } : { ...data, path, target } };
  }

  function maskExec(data: ExecData): ExecData {
    const exe = data.exe === null ? null : maskText(data.exe);
    return { ...data, filename: maskText(data.filename), argv: maskArguments(data.argv), cwd: maskText(data.cwd), exe };
  }

  function maskArguments(argv: readonly string[]): readonly string[] {
    let masked: string[] | undefined;
    for (const [index, argument] of argv.entries()) {
      const text = maskRanges(argument, rangesInArgument(argv, index));
      if (text !== argument) (masked ??= [...argv])[index] = text;
    }
    return masked ?? argv;
  }

  /** The same bytes where there is no secret, else a masked copy. */
  function maskBytes(bytes: Buffer): Buffer {
    const ranges = rangesInBytes(bytes);
    if (ranges.length === 0) return bytes;
    const copy = Buffer.from(bytes);
    for (const { start, end } of ranges) copy.fill('*', start, end);
    note(bytes.toString('latin1'), ranges, 'latin1');
    return copy;
  }

  function maskText(text: string): string {
    return maskRanges(text, rangesInText(text));
  }

  function maskRanges(text: string, ranges: readonly SecretRange[]): string {
    if (ranges.length === 0) return text;
    const result = maskedText(text, ranges);
    if (result !== text) note(text, ranges, 'utf8');
    return result;
  }

  function maskExchange(data: HttpData): HttpData {
    const before = counters.get('masked_secrets');
    const masked = {
      ...data,
      url: maskText(data.url),
      path: maskText(data.path),
      ...maskHeaders('request', data.request_header_list),
      ...maskHeaders('response', data.response_header_list),
      interim: data.interim.map((one) => ({ ...one, headers: maskHeaderValues(one.headers) })),
      request_trailers: maskList(data.request_trailers),
      response_trailers: maskList(data.response_trailers),
      grpc: data.grpc === null ? null : maskGrpc(data.grpc),
      request_body: maskBody(data.request_body, data.request_body_encoding),
      response_body: maskBody(data.response_body, data.response_body_encoding),
    };
    return { ...masked, redacted: data.redacted + counters.get('masked_secrets') - before };
  }

  function maskWebsocket(data: WebsocketData): WebsocketData {
    const before = counters.get('masked_secrets');
    const masked = {
      ...data, url: maskText(data.url), body: maskBody(data.body, data.body_encoding),
      close_reason: data.close_reason === null ? null : maskText(data.close_reason),
    };
    return { ...masked, redacted: data.redacted + counters.get('masked_secrets') - before };
  }

  function maskBody(body: string | null, encoding: TextEncoding): string | null {
    if (body === null || encoding === 'utf8') return body === null ? null : maskText(body);
    const bytes = Buffer.from(body, 'base64');
    const masked = maskBytes(bytes);
    return masked === bytes ? body : masked.toString('base64');
  }

  function maskHeaders(side: 'request' | 'response', list: HeaderList): Partial<HttpData> {
    const maskedList = maskList(list);
    return side === 'request'
      ? { request_header_list: maskedList, request_headers: headersOf(maskedList) }
      : { response_header_list: maskedList, response_headers: headersOf(maskedList) };
  }

  function maskList(list: HeaderList): HeaderList {
    return list.map(([name, value]) => {
      if (value === null) return [name, value] as const;
      // Without its name, nobody can say that it is no secret.
      const ranges = name === null ? [{ start: 0, end: value.length }] : rangesInHeader(name, value);
      return [name, maskRanges(value, ranges)] as const;
    });
  }

  function maskHeaderValues(headers: Headers): Headers {
    return headersOf(maskList(Object.entries(headers).flatMap(([name, values]) => values.map((value) => [name, value] as const))));
  }

  function maskGrpc(call: GrpcData): GrpcData {
    const maskMessage = (message: GrpcMessage): GrpcMessage => ({ ...message, fields: maskFields(message.fields) });
    return {
      ...call, message: call.message === null ? null : maskText(call.message),
      request_messages: call.request_messages.map(maskMessage), response_messages: call.response_messages.map(maskMessage),
    };
  }

  function maskFields(fields: readonly ProtobufField[] | null): readonly ProtobufField[] | null {
    return fields?.map((field) => ({
      ...field, value: maskBody(field.value, field.encoding) ?? '', fields: maskFields(field.fields),
    })) ?? null;
  }
}

function headersOf(list: HeaderList): Headers {
  const headers: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of list) {
    if (name !== null && value !== null) (headers[name.toLowerCase()] ??= []).push(value);
  }
  return headers;
}
