import { shellQuote } from './format.ts';

export interface CurlRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | null;
  readonly bodyEncoding: string;
}

/** Set by curl itself from the address and the body. */
const OWN_HEADERS = new Set(['host', 'content-length', 'connection', 'transfer-encoding', 'accept-encoding']);

/** A command that sends the request again. Masked secrets stay masked. */
export function toCurl(request: CurlRequest): string {
  const lines = [`curl ${shellQuote(request.url)}`];
  if (request.method !== 'GET' || request.body !== null) lines.push(`-X ${shellQuote(request.method)}`);
  for (const [name, value] of request.headers) {
    if (!OWN_HEADERS.has(name.toLowerCase())) lines.push(`-H ${shellQuote(`${name}: ${value}`)}`);
  }
  if (request.body === null || request.body === '') return lines.join(' \\\n  ');
  if (request.bodyEncoding === 'base64') {
    return `base64 -d <<<${shellQuote(request.body)} | ${[...lines, '--data-binary @-'].join(' \\\n  ')}`;
  }
  // `--data-raw` takes a leading @ as it is.
  return [...lines, `--data-raw ${shellQuote(request.body)}`].join(' \\\n  ');
}
