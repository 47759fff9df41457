/** The head of one HTTP/1 message (RFC 9112 §3-§6): its start line, its fields, and how long its body is. */
import type { HeaderList, Headers, HttpFlag } from '../../src/event.ts';
import { decodeLines, readFields } from './fields.ts';
import { type BodyLength, FRAMING, bodyLengthOf } from './framing.ts';
import type { MessageKind } from './start-line.ts';

export interface Head {
  readonly kind: MessageKind;
  /** `1.0`, `1.1` or `2`. */
  readonly version: string;
  /** Of a request; empty in a response. */
  readonly method: string;
  readonly target: string;
  /** Of a response; 0 in a request, and where it is not known. */
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly list: HeaderList;
  /** In HTTP/2: what stands for `Host`, and what an extended CONNECT asks for. */
  readonly authority: string | null;
  readonly protocol: string | null;
  /** What its fields say of its body. */
  readonly length: BodyLength;
  /** What is odd about it. */
  readonly flags: readonly HttpFlag[];
  /** Why the framing cannot be trusted. */
  readonly fault: string | null;
}

/** Of a head whose frames tell where its body ends. */
export const NO_LENGTH: BodyLength = { framing: FRAMING.lost, flags: [], fault: null };

type StartLine = Pick<Head, 'version' | 'method' | 'target' | 'status' | 'statusText'>;

/** `bytes` is the whole head with its blank line; its first line has been checked by `kindOfLine`. */
export function parseHead(bytes: Buffer, kind: MessageKind): Head {
  const text = decodeLines(bytes);
  const newline = text.indexOf('\n');
  const from = newline === -1 ? text.length : newline + 1;
  const { version, method, target, status, statusText } = parseStartLine(kind, text.slice(0, newline > 0 && text.charCodeAt(newline - 1) === 0x0d ? newline - 1 : from - 1));
  const { headers, list, flags, fault } = readFields(text, from);
  const length = bodyLengthOf(kind, version, headers);
  return {
    kind, version, method, target, status, statusText, headers, list, authority: null, protocol: null, length,
    flags: length.flags.length === 0 ? flags : [...flags, ...length.flags],
    fault: fault === null ? null : reasonOf(fault),
  };
}

/** The flag as a reason to be read. */
export function reasonOf(flag: HttpFlag): string {
  return `framing cannot be trusted: ${flag.replaceAll('-', ' ')}`;
}

function parseStartLine(kind: MessageKind, line: string): StartLine {
  if (kind === 'response') {
    return {
      version: line.slice(5, 8), method: '', target: '',
      status: Number(line.slice(9, 12)), statusText: line.slice(13),
    };
  }
  const space = line.indexOf(' ');
  return {
    version: line.slice(-3), method: line.slice(0, space), target: line.slice(space + 1, -9),
    status: 0, statusText: '',
  };
}
