/** What a handshake agreed on: permessage-deflate (RFC 7692 §7.1), told by the response alone. */

export interface Deflate {
  /** The sender begins each message with an empty window. */
  readonly clientResets: boolean;
  readonly serverResets: boolean;
}

/** null where it was not agreed on. Window sizes do not matter: who decodes may use the largest. */
export function deflateOf(values: readonly string[] | undefined): Deflate | null {
  for (const extension of values?.flatMap((value) => value.split(',')) ?? []) {
    const [name, ...parameters] = extension.split(';').map((part) => part.split('=')[0]?.trim().toLowerCase() ?? '');
    if (name !== 'permessage-deflate') continue;
    return { clientResets: parameters.includes('client_no_context_takeover'), serverResets: parameters.includes('server_no_context_takeover') };
  }
  return null;
}
