/**
 * What a secret looks like: by the name in front of it, or by its own shape.
 * `find.ts` says where the value of a name starts and ends.
 */

/** What the name of a secret ends with; `tokens` (a number) is not `token`. */
export const NAME =
  '(?:(?:api|access|secret|private|auth|signing|account|subscription|encryption|master|shared)[-_]?key(?:[-_]?id)?' +
  '|secret|token|passwd|password|passphrase|credentials?|authorization|(?:set-)?cookie2?|[-_](?:pass|auth))';

/**
 * Shapes of keys, by who gives them out. Each takes the whole run of its characters, so that nothing of a longer
 * token stays; a key that fits two is of the first.
 */
export const SHAPES: readonly { readonly kind: string; readonly pattern: RegExp }[] = [
  // Keys of model providers.
  { kind: 'anthropic', pattern: /\bsk-ant-[\w-]{4,}/ },
  { kind: 'openai', pattern: /\bsk-[\w-]{16,}/ },
  { kind: 'google', pattern: /\bAIza[\w-]{30,}|\bya29\.[\w.-]{16,}|\bGOCSPX-[\w-]{16,}|\b1\/\/0(?<![/]1\/\/0)[\w-]{24,}/ },
  { kind: 'huggingface', pattern: /\bhf_[\w-]{20,}/ },
  { kind: 'groq', pattern: /\bgsk_[\w-]{20,}/ },
  { kind: 'xai', pattern: /\bxai-[\w-]{20,}/ },
  { kind: 'perplexity', pattern: /\bpplx-[\w-]{20,}/ },
  { kind: 'replicate', pattern: /\br8_[\w-]{24,}/ },
  // Of code hosts, registries, clouds, chat, payment, mail.
  { kind: 'github', pattern: /\bgh[opsur]_[\w-]{16,}|\bgithub_pat_[\w-]{16,}/ },
  { kind: 'gitlab', pattern: /\bglpat-[\w-]{16,}/ },
  { kind: 'npm', pattern: /\bnpm_[\w-]{30,}/ },
  { kind: 'pypi', pattern: /\bpypi-[\w-]{30,}/ },
  { kind: 'aws', pattern: /\bA[KS]IA[A-Z0-9]{16}[\w-]*/ },
  { kind: 'digitalocean', pattern: /\bdo[opr]_v1_[\w-]{30,}/ },
  { kind: 'slack', pattern: /\bxox[a-z]-[\w-]{8,}|\bxoxe\.xox[a-z]-[\w-]{8,}|\bxapp-[\w-]{8,}/ },
  { kind: 'stripe', pattern: /\b[rs]k_(?:live|test)_[\w-]{16,}|\bwhsec_[\w+/=-]{16,}/ },
  { kind: 'sendgrid', pattern: /\bSG\.[\w-]{16,}\.[\w-]{16,}/ },
  { kind: 'age', pattern: /\bAGE-SECRET-KEY-1[\w-]{20,}/ },
  // A signed token (RFC 7519).
  { kind: 'jwt', pattern: /(?<![\w-])eyJ[\w-]{8,}\.[\w.-]{8,}/ },
];

/** A value that is secret as a whole because of its header's name. */
const SECRET_HEADER =
  /^(?:set-)?cookie2?$|(?:authorization|api[-_]?key(?:[-_]id)?|token|secret|passw(?:or)?d|passphrase|credentials?|session[-_]?id|signature|jwt|[-_](?:auth|session)|(?:access|auth|client|encryption|functions|license|master|private|secret|shared|signing|subscription)[-_]?key)$/;

/** `name` in lower case. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name);
}

/** The word before a credential that is worth keeping: `Bearer`, `Basic`. */
export const AUTH_SCHEME = /^(?:Bearer|Basic|Digest|Negotiate|Token|ApiKey|AWS4-HMAC-SHA256) +/i;

/** A command-line option whose value is the next argument. */
export const SECRET_OPTION = new RegExp(`^--?[\\w-]{0,32}?${NAME}$`, 'i');

/** Options of curl whose value is `user:password`, a cookie (`name=value`, else the name of a file), a header. */
export const USER_OPTION = /^(?:-u|--user|--proxy-user)$/;
export const COOKIE_OPTION = /^-b$/;
export const HEADER_OPTION = /^(?:-H|--header|--proxy-header)$/;
