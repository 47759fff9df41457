/** Narrows the open `data` of an event, field by field, without trusting it. */
export type Data = Readonly<Record<string, unknown>>;

export function text(data: Data, name: string): string {
  const value = data[name];
  return typeof value === 'string' ? value : '';
}

export function textOrNull(data: Data, name: string): string | null {
  const value = data[name];
  return typeof value === 'string' ? value : null;
}

export function number(data: Data, name: string): number {
  const value = data[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

export function numberOrNull(data: Data, name: string): number | null {
  const value = data[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function flag(data: Data, name: string): boolean {
  return data[name] === true;
}

export function texts(data: Data, name: string): readonly string[] {
  const value = data[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** An object within it; null when there is none. */
export function record(data: Data, name: string): Data | null {
  const value = data[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Data) : null;
}

/** The objects of a list. */
export function records(data: Data, name: string): readonly Data[] {
  const value = data[name];
  return Array.isArray(value) ? value.filter((item): item is Data => typeof item === 'object' && item !== null) : [];
}

/** A header list, from the ordered list or else from the map of arrays. */
export function headers(data: Data, side: 'request' | 'response'): readonly (readonly [string, string])[] {
  const list = data[`${side}_header_list`];
  if (Array.isArray(list) && list.length > 0) return list.flatMap(headerPair);
  return headerMap(data[`${side}_headers`]);
}

/** Fields after the body. */
export function trailers(data: Data, side: 'request' | 'response'): readonly (readonly [string, string])[] {
  const list = data[`${side}_trailers`];
  return Array.isArray(list) ? list.flatMap(headerPair) : [];
}

/** Responses of status 1xx before the real one, as lines to be shown. */
export function interim(data: Data): readonly { readonly status: number; readonly headers: readonly (readonly [string, string])[]; readonly sinceRequestMs: number | null }[] {
  return records(data, 'interim').map((one) => ({
    status: number(one, 'status'), headers: headerMap(one['headers']), sinceRequestMs: numberOrNull(one, 'since_request_ms'),
  }));
}

/** What is odd about the messages, in words: `request: lengths differ`. */
export function oddities(data: Data): readonly string[] {
  const flags = data['flags'];
  if (!Array.isArray(flags)) return [];
  return flags.map((one) => String(one).replace('.', ': ').replaceAll('-', ' '));
}

function headerMap(map: unknown): readonly (readonly [string, string])[] {
  if (typeof map !== 'object' || map === null) return [];
  return Object.entries(map).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map((value) => [name, String(value)] as const));
}

function headerPair(item: unknown): readonly (readonly [string, string])[] {
  if (!Array.isArray(item)) return [];
  // null: a compressed head referred to what was sent before the capture.
  return [[String(item[0] ?? '(unknown)'), String(item[1] ?? '')]];
}
