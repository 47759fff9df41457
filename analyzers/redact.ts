/**
 * Masks credentials with `*` at equal length, so that lengths in the text stay
 * true and masking twice changes nothing.
 *
 * Live, `http` and `sse` events and raw `tls` chunks come masked from the http
 * analyzer, by `locateSecrets`; this operator masks command lines, lines of shells, paths and stdio. A
 * replay asks it to mask derived events too, because their capture may have been
 * made without redaction. A secret that two stdio calls share is not seen.
 */
import { map, type MonoTypeOperatorFunction } from 'rxjs';
import type { Event, FileEvent, GrpcData, GrpcMessage, HeaderList, Headers, HttpData, ProtobufField, TextEncoding } from '../src/event.ts';
import { Counters } from '../src/stats.ts';
import { maskRanges as maskedText } from './redact/find.ts';
import { rangesInBytes, rangesInHeader, rangesInText, type SecretRange } from './redact/locate.ts';
import { HEADER_OPTION, SECRET_OPTION, USER_OPTION } from './redact/rules.ts';

export { locateSecrets } from './redact/locate.ts';

const COUNTERS = ['masked_events', 'masked_secrets'] as const;
export type RedactCounters = Counters<(typeof COUNTERS)[number]>;

export function createRedactCounters(): RedactCounters {
  return new Counters(COUNTERS);
}

export interface RedactOptions {
  readonly enabled: boolean;
  readonly counters?: RedactCounters;
  /** Mask `http` and `sse` events, too. */
  readonly derived?: boolean;
}

export function redact({ enabled, counters = createRedactCounters(), derived = false }: RedactOptions): MonoTypeOperatorFunction<Event> {
  if (!enabled) return (events) => events;
  return map((event) => {
    const before = counters.get('masked_secrets');
    const masked = maskEvent(event);
    if (counters.get('masked_secrets') !== before) counters.add('masked_events');
    return masked;
  });

  function maskEvent(event: Event): Event {
    switch (event.source) {
      case 'process':
        if (event.data.event !== 'EXEC') return event;
        return { ...event, data: { ...event.data, argv: maskArguments(event.data.argv) } };
      case 'stdio': {
        const payload = maskBytes(event.data.payload);
        return payload === event.data.payload ? event : { ...event, data: { ...event.data, payload } };
      }
      case 'file':
        return maskFile(event);
      case 'readline': {
        const line = maskText(event.data.line);
        return line === event.data.line ? event : { ...event, data: { ...event.data, line } };
      }
      case 'http':
        return derived ? { ...event, data: maskExchange(event.data) } : event;
      case 'sse':
        return derived ? { ...event, data: { ...event.data, url: maskText(event.data.url), data: maskText(event.data.data) } } : event;
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

  function maskArguments(argv: readonly string[]): readonly string[] {
    let masked: string[] | undefined;
    for (const [index, argument] of argv.entries()) {
      const previous = index > 1 ? argv[index - 1] ?? '' : '';
      const text = maskArgument(previous, argument);
      if (text !== argument) (masked ??= [...argv])[index] = text;
    }
    return masked ?? argv;
  }

  function maskArgument(option: string, argument: string): string {
    if (SECRET_OPTION.test(option)) return maskRanges(argument, [{ start: 0, end: argument.length }]);
    const colon = argument.indexOf(':');
    // Digits on both sides are a user and a group, as of docker.
    if (colon > 0 && USER_OPTION.test(option) && !/^\d+:\d+$/.test(argument)) return maskRanges(argument, [{ start: colon + 1, end: argument.length }]);
    if (colon > 0 && HEADER_OPTION.test(option)) {
      const value = argument.slice(colon + 1);
      return argument.slice(0, colon + 1) + maskRanges(value, rangesInHeader(argument.slice(0, colon), value));
    }
    return maskText(argument);
  }

  /** The same bytes where there is no secret, else a masked copy. */
  function maskBytes(payload: Uint8Array): Uint8Array {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const ranges = rangesInBytes(bytes);
    if (ranges.length === 0) return payload;
    const copy = Buffer.from(bytes);
    for (const { start, end } of ranges) copy.fill('*', start, end);
    counters.add('masked_secrets', ranges.length);
    return copy;
  }

  function maskText(text: string): string {
    return maskRanges(text, rangesInText(text));
  }

  function maskRanges(text: string, ranges: readonly SecretRange[]): string {
    if (ranges.length === 0) return text;
    const result = maskedText(text, ranges);
    if (result !== text) counters.add('masked_secrets', ranges.length);
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
      request_trailers: maskList(data.request_trailers),
      response_trailers: maskList(data.response_trailers),
      grpc: data.grpc === null ? null : maskGrpc(data.grpc),
      request_body: maskBody(data.request_body, data.request_body_encoding),
      response_body: maskBody(data.response_body, data.response_body_encoding),
    };
    return { ...masked, redacted: data.redacted + counters.get('masked_secrets') - before };
  }

  function maskBody(body: string | null, encoding: TextEncoding): string | null {
    if (body === null || encoding === 'utf8') return body === null ? null : maskText(body);
    const bytes = Buffer.from(body, 'base64');
    const masked = maskBytes(bytes);
    return masked === bytes ? body : Buffer.from(masked).toString('base64');
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
