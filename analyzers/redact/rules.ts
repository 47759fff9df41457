/**
 * What a secret looks like: by the name in front of it, or by its own shape.
 * `find.ts` says where the value of a name starts and ends.
 */

/** What the name of a secret ends with; `tokens` (a number) is not `token`. */
export const NAME =
  '(?:(?:api|access|secret|private|auth|signing|account|subscription|encryption|master|shared)[-_]?key(?:[-_]?id)?' +
  '|secret|token|passwd|password|passphrase|credentials?|authorization|(?:set-)?cookie2?|[-_](?:pass|auth))';

/** Each takes the whole run of its characters, so that nothing of a longer token stays. */
export const SHAPES: readonly RegExp[] = [
  // Keys of model providers.
  /\bsk-ant-[\w-]{4,}/g,
  /\bsk-[\w-]{16,}/g,
  /\bAIza[\w-]{30,}/g,
  /\bhf_[\w-]{20,}/g,
  /\bgsk_[\w-]{20,}/g,
  /\bxai-[\w-]{20,}/g,
  // Of code hosts, registries, clouds, chat.
  /\bgh[opsur]_[\w-]{16,}/g,
  /\bgithub_pat_[\w-]{16,}/g,
  /\bglpat-[\w-]{16,}/g,
  /\bnpm_[\w-]{30,}/g,
  /\bA[KS]IA[A-Z0-9]{16}[\w-]*/g,
  /\bxox[a-z]-[\w-]{8,}/g,
  /\bxapp-[\w-]{8,}/g,
  // A signed token (RFC 7519).
  /(?<![\w-])eyJ[\w-]{8,}\.[\w.-]{8,}/g,
];

/** A value that is secret as a whole because of its header's name. */
const SECRET_HEADER = /^(?:authorization|proxy-authorization|cookie|set-cookie|.*(?:api-?key|token|secret|password|credential|session-id|auth-key|access-key))$/;

/** `name` in lower case. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name);
}

/** The word before a credential that is worth keeping: `Bearer`, `Basic`. */
export const AUTH_SCHEME = /^(?:Bearer|Basic|Digest|Negotiate|Token|ApiKey|AWS4-HMAC-SHA256) +/i;

/** A command-line option whose value is the next argument. */
export const SECRET_OPTION = new RegExp(`^--?[\\w-]{0,32}?${NAME}$`, 'i');

/** Options of curl whose value is `user:password`, and those whose value is a header. */
export const USER_OPTION = /^(?:-u|--user|--proxy-user)$/;
export const HEADER_OPTION = /^(?:-H|--header|--proxy-header)$/;
