/**
 * Masks credentials with `*` at equal length, so that lengths in the text stay
 * true and masking twice changes nothing.
 *
 * Live, `http` and `sse` events and raw `tls` chunks come masked from the http
 * analyzer, by `locateSecrets`; this operator masks command lines and stdio. A
 * replay asks it to mask derived events too, because their capture may have been
 * made without redaction. A secret that two stdio calls share is not seen.
 */
import { map, type MonoTypeOperatorFunction } from 'rxjs';
import type { Event, HeaderList, Headers, HttpData } from '../src/event.ts';
import { Counters } from '../src/stats.ts';
import { rangesInBytes, rangesInHeader, rangesInText, type SecretRange } from './redact/locate.ts';
import { SECRET_OPTION } from './redact/rules.ts';

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
      case 'http':
        return derived ? { ...event, data: maskExchange(event.data) } : event;
      case 'sse':
        return derived ? { ...event, data: { ...event.data, data: maskText(event.data.data) } } : event;
      default:
        return event;
    }
  }

  function maskArguments(argv: readonly string[]): readonly string[] {
    let masked: string[] | undefined;
    for (const [index, argument] of argv.entries()) {
      const previous = index > 1 ? argv[index - 1] ?? '' : '';
      const whole = SECRET_OPTION.test(previous) && argument !== '';
      const text = whole ? maskRanges(argument, [{ start: 0, end: argument.length }]) : maskText(argument);
      if (text !== argument) (masked ??= [...argv])[index] = text;
    }
    return masked ?? argv;
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
    let masked = '';
    let from = 0;
    for (const { start, end } of ranges) {
      masked += text.slice(from, start) + '*'.repeat(end - start);
      from = end;
    }
    const result = masked + text.slice(from);
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
      request_body: data.request_body === null || data.request_body_encoding === 'base64' ? data.request_body : maskText(data.request_body),
      response_body: data.response_body === null || data.response_body_encoding === 'base64' ? data.response_body : maskText(data.response_body),
    };
    return { ...masked, redacted: data.redacted + counters.get('masked_secrets') - before };
  }

  function maskHeaders(side: 'request' | 'response', list: HeaderList): Partial<HttpData> {
    const maskedList = list.map(([name, value]) => [name, maskRanges(value, rangesInHeader(name, value))] as const);
    return side === 'request'
      ? { request_header_list: maskedList, request_headers: headersOf(maskedList) }
      : { response_header_list: maskedList, response_headers: headersOf(maskedList) };
  }
}

function headersOf(list: HeaderList): Headers {
  const headers: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of list) (headers[name.toLowerCase()] ??= []).push(value);
  return headers;
}
