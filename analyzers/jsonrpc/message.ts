/** One JSON-RPC 2.0 message (https://www.jsonrpc.org/specification), or what made it none. */
import { memberTexts } from './member-texts.ts';

export type RpcId = string | number | null;

/** `idText` tells ids apart: 1 and "1" are two, and so are numbers that are one to JavaScript. */
interface Identified {
  readonly id: RpcId;
  readonly idText: string;
}

export type RpcMessage =
  | { readonly kind: 'request'; readonly method: string; readonly params: string | null } & Identified
  /** `cancels`: the `idText` of the request that its sender waits for no more. */
  | { readonly kind: 'notification'; readonly method: string; readonly params: string | null; readonly cancels: string | null }
  | { readonly kind: 'reply'; readonly result: string | null; readonly error: RpcError | null } & Identified;

export interface RpcError {
  readonly code: number | null;
  readonly message: string;
}

type Members = Readonly<Record<string, unknown>>;

/** Of the Model Context Protocol, where no reply comes then. That of language servers asks for one all the same. */
const CANCELLED = 'notifications/cancelled';
const BYTE_ORDER_MARK = /^\uFEFF/;

/** A batch of the older specification is an array. Empty where the text is no such message. */
export function parseMessages(text: string): readonly RpcMessage[] {
  const bare = text.replace(BYTE_ORDER_MARK, '');
  const value = parse(bare);
  const members = (Array.isArray(value) ? value : [value]).filter(isRecord);
  const needsTexts = members.some((member) => isInexact(member['id']));
  const texts = needsTexts ? memberTexts(bare, 'id', Array.isArray(value) ? 2 : 1) : [];
  return members.map((member, index) => messageOf(member, texts[index])).filter((message) => message !== null);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is no message: the caller counts it.
    return null;
  }
}

function messageOf(value: Members, idText: string | undefined): RpcMessage | null {
  if (value['jsonrpc'] !== '2.0') return null;
  const { method } = value;
  const id = identified(value['id'], idText);
  if (typeof method === 'string') {
    const params = jsonOf(value['params']);
    if (value['id'] === undefined) return { kind: 'notification', method, params, cancels: method === CANCELLED ? cancelledBy(value['params']) : null };
    return id === null ? null : { kind: 'request', ...id, method, params };
  }
  if (id === null) return null;
  const error = errorOf(value['error']);
  if (error === null && value['result'] === undefined) return null;
  return { kind: 'reply', ...id, result: jsonOf(value['result']), error };
}

function identified(id: unknown, text: string | undefined): Identified | null {
  if (id !== null && typeof id !== 'string' && typeof id !== 'number') return null;
  if (!isInexact(id)) return { id, idText: JSON.stringify(id) };
  const exact = text ?? String(id);
  return { id: String(id) === exact ? id : exact, idText: exact };
}

/** Whether it may have been another number before JavaScript read it. */
function isInexact(id: unknown): id is number {
  return typeof id === 'number' && !Number.isSafeInteger(id);
}

function cancelledBy(params: unknown): string | null {
  const id = isRecord(params) ? params['requestId'] : null;
  return (typeof id === 'string' || typeof id === 'number') && !isInexact(id) ? JSON.stringify(id) : null;
}

/** The specification wants a code and a message; what is there instead is told as it is. */
function errorOf(value: unknown): RpcError | null {
  if (value === undefined || value === null) return null;
  if (!isRecord(value)) return { code: null, message: typeof value === 'string' ? value : JSON.stringify(value) };
  const { code, message } = value;
  const hasCode = typeof code === 'number';
  return { code: hasCode ? code : null, message: typeof message === 'string' ? message : hasCode ? '' : JSON.stringify(value) };
}

function jsonOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function isRecord(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
