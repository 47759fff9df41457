/** One JSON-RPC 2.0 message (https://www.jsonrpc.org/specification), or what made it none. */
export type RpcId = string | number | null;

export type RpcMessage =
  | { readonly kind: 'request'; readonly id: RpcId; readonly method: string; readonly params: string | null }
  | { readonly kind: 'notification'; readonly method: string; readonly params: string | null }
  | { readonly kind: 'reply'; readonly id: RpcId; readonly result: string | null; readonly error: RpcError | null };

export interface RpcError {
  readonly code: number;
  readonly message: string;
}

/** A batch of the older specification is an array. Empty where the text is no such message. */
export function parseMessages(text: string): readonly RpcMessage[] {
  const value = parse(text);
  const members = Array.isArray(value) ? value : [value];
  return members.map(messageOf).filter((message) => message !== null);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is no message: the caller counts it.
    return null;
  }
}

function messageOf(value: unknown): RpcMessage | null {
  if (!isRecord(value) || value['jsonrpc'] !== '2.0') return null;
  const { id, method } = value;
  if (typeof method === 'string') {
    const params = jsonOf(value['params']);
    if (id === undefined) return { kind: 'notification', method, params };
    return isId(id) ? { kind: 'request', id, method, params } : null;
  }
  if (!isId(id)) return null;
  const error = errorOf(value['error']);
  if (error === null && value['result'] === undefined) return null;
  return { kind: 'reply', id, result: jsonOf(value['result']), error };
}

function errorOf(value: unknown): RpcError | null {
  if (!isRecord(value) || typeof value['code'] !== 'number') return null;
  return { code: value['code'], message: typeof value['message'] === 'string' ? value['message'] : '' };
}

function jsonOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function isId(value: unknown): value is RpcId {
  return value === null || typeof value === 'string' || typeof value === 'number';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
