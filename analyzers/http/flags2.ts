/**
 * What is odd about the fields of a message in HTTP/2 (RFC 9113 §8.2 and §8.3). Frames tell where it ends whatever they say; but a
 * proxy that writes them down as HTTP/1 lets them tell the next program something else. Nothing is said of what is not known.
 */
import type { HttpFlag } from '../../src/event.ts';
import type { MessageKind } from '../http1/start-line.ts';
import type { Field } from '../http2/table.ts';

const CONNECTION_FIELDS: ReadonlySet<string> = new Set(['connection', 'proxy-connection', 'keep-alive', 'upgrade']);
/** Those of trailers are none. */
const PSEUDO_FIELDS: Readonly<Record<MessageKind | 'trailers', readonly string[]>> = {
  request: [':method', ':scheme', ':path', ':authority', ':protocol'], response: [':status'], trailers: [],
};
/** All but upper case, which has a flag of its own. */
const NO_NAME = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
const UPPER_CASE = /[A-Z]/;
const LINE_BREAK = /[\0\r\n]/;
const NO_FLAGS: readonly HttpFlag[] = [];

export function flagsOf(part: MessageKind | 'trailers', fields: readonly Field[]): readonly HttpFlag[] {
  const flags = new Set<HttpFlag>();
  const pseudo = new Set<string>();
  let regular = false;
  for (const { name, value } of fields) {
    if (value !== null && LINE_BREAK.test(value)) flags.add('line-break-in-value');
    if (name?.startsWith(':') === true) {
      if (regular || part === 'trailers') flags.add('pseudo-field-late');
      if (pseudo.has(name)) flags.add('pseudo-field-repeated');
      if (part !== 'trailers' && !PSEUDO_FIELDS[part].includes(name)) flags.add('pseudo-field-unknown');
      pseudo.add(name);
    } else {
      // One that is not known may have been either.
      regular ||= name !== null;
      if (name !== null) flagRegular(flags, name, value);
    }
  }
  if (isMissing(part, pseudo, fields)) flags.add('pseudo-field-missing');
  return flags.size === 0 ? NO_FLAGS : [...flags];
}

function flagRegular(flags: Set<HttpFlag>, name: string, value: string | null): void {
  if (name === '' || NO_NAME.test(name)) flags.add('bad-header-name');
  if (UPPER_CASE.test(name)) flags.add('upper-case-name');
  // Fields of HTTP/1 connections make a message malformed here (§8.2.2), whatever case a proxy makes of them.
  const lower = name.toLowerCase();
  if (lower === 'transfer-encoding') flags.add('transfer-coding-in-http-2');
  else if (CONNECTION_FIELDS.has(lower)) flags.add('connection-field-in-http-2');
  else if (lower === 'te' && value !== null && value.trim().toLowerCase() !== 'trailers') flags.add('connection-field-in-http-2');
}

/** What a message is not understood without; of the scheme nothing depends. */
function isMissing(part: MessageKind | 'trailers', pseudo: ReadonlySet<string>, fields: readonly Field[]): boolean {
  if (part === 'trailers' || fields.some(({ name }) => name === null)) return false;
  if (part === 'response') return !pseudo.has(':status');
  if (!pseudo.has(':method')) return true;
  // A CONNECT that opens a tunnel has no path (§8.5).
  return !pseudo.has(':path') && !fields.some(({ name, value }) => name === ':method' && (value === null || value === 'CONNECT'));
}
