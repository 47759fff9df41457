/**
 * What a secret looks like: by the name in front of it, or by its own shape.
 * `find.ts` says where the value of a name starts and ends.
 */
import { bordered } from './border.ts';

/** What the name of a secret ends with; `tokens` (a number) is not `token`. */
export const NAME =
  '(?:(?:api|access|secret|private|auth|signing|account|subscription|encryption|master|shared)[-_]?key(?:[-_]?id)?' +
  '|secret|token|passwd|password|passphrase|credentials?|authorization|(?:set-)?cookie2?|[-_](?:pass|auth))';

/** A key of a known shape. */
export interface Shape {
  readonly kind: string;
  /** What it begins with, by which it is known before it is whole: letters and sets of them. */
  readonly opening: RegExp;
  readonly rest: RegExp;
  /** Of a rest that is too short so far: as `rest`, but to the end of the text. Without it as many as `rest` needs, less one. */
  readonly open?: RegExp;
  /** What stands before it; without it the beginning of a word. */
  readonly before?: RegExp;
  /** All of it. */
  readonly pattern: RegExp;
}

/**
 * Shapes of keys, by who gives them out. Each takes the whole run of its characters, so that nothing of a longer
 * token stays; a key that fits two is of the first.
 */
const KEYS: readonly Omit<Shape, 'pattern'>[] = [
  // Keys of model providers.
  { kind: 'anthropic', opening: /sk-ant-/, rest: /[\w-]{4,}/ },
  { kind: 'openai', opening: /sk-/, rest: /[\w-]{16,}/ },
  { kind: 'google', opening: /AIza/, rest: /[\w-]{30,}/ },
  { kind: 'google', opening: /ya29\./, rest: /[\w.-]{16,}/ },
  { kind: 'google', opening: /GOCSPX-/, rest: /[\w-]{16,}/ },
  { kind: 'google', opening: /1\/\/0/, rest: /(?<![/]1\/\/0)[\w-]{24,}/ },
  { kind: 'huggingface', opening: /hf_/, rest: /[\w-]{20,}/ },
  { kind: 'groq', opening: /gsk_/, rest: /[\w-]{20,}/ },
  { kind: 'xai', opening: /xai-/, rest: /[\w-]{20,}/ },
  { kind: 'perplexity', opening: /pplx-/, rest: /[\w-]{20,}/ },
  { kind: 'replicate', opening: /r8_/, rest: /[\w-]{24,}/ },
  // Of code hosts, registries, clouds, chat, payment, mail.
  { kind: 'github', opening: /gh[opsur]_/, rest: /[\w-]{16,}/ },
  { kind: 'github', opening: /github_pat_/, rest: /[\w-]{16,}/ },
  { kind: 'gitlab', opening: /glpat-/, rest: /[\w-]{16,}/ },
  { kind: 'npm', opening: /npm_/, rest: /[\w-]{30,}/ },
  { kind: 'pypi', opening: /pypi-/, rest: /[\w-]{30,}/ },
  { kind: 'aws', opening: /A[KS]IA/, rest: /[A-Z0-9]{16}[\w-]*/, open: /[A-Z0-9]{0,15}/ },
  { kind: 'digitalocean', opening: /do[opr]_v1_/, rest: /[\w-]{30,}/ },
  // Of a cookie, whose value is percent-encoded.
  { kind: 'slack', opening: /xoxd-/, rest: /(?:[\w+/=-]|%2[BbFf]|%3[Dd]){8,}/ },
  { kind: 'slack', opening: /xox[a-z]-/, rest: /[\w-]{8,}/ },
  { kind: 'slack', opening: /xoxe\.xox[a-z]-/, rest: /[\w-]{8,}/ },
  { kind: 'slack', opening: /xapp-/, rest: /[\w-]{8,}/ },
  { kind: 'stripe', opening: /[rs]k_live_/, rest: /[\w-]{16,}/ },
  { kind: 'stripe', opening: /[rs]k_test_/, rest: /[\w-]{16,}/ },
  { kind: 'stripe', opening: /whsec_/, rest: /[\w+/=-]{16,}/ },
  { kind: 'sendgrid', opening: /SG\./, rest: /[\w-]{16,}\.[\w-]{16,}/, open: /[\w-]*(?:\.[\w-]{0,15})?/ },
  { kind: 'age', opening: /AGE-SECRET-KEY-1/, rest: /[\w-]{20,}/ },
  // A signed token (RFC 7519).
  { kind: 'jwt', before: /(?<![\w-])/, opening: /eyJ/, rest: /[\w-]{8,}\.[\w.-]{8,}/, open: /[\w-]*(?:\.[\w.-]{0,7})?/ },
];

export const SHAPES: readonly Shape[] = KEYS.map((key) => ({ ...key, pattern: new RegExp(bordered(key.opening, key) + key.rest.source) }));

/** A value that is secret as a whole because of its header's name. */
const SECRET_HEADER =
  /^(?:set-)?cookie2?$|(?:authorization|api[-_]?key(?:[-_]id)?|token|secret|passw(?:or)?d|passphrase|credentials?|session[-_]?id|signature(?:-\d{1,3})?|(?<!proxy-)authentication|jwt|[-_](?:auth|session)|(?:access|auth|client|encryption|functions|license|master|private|secret|shared|signing|subscription)[-_]?key|^x-(?!(?:cache|idempotency|surrogate|partition|routing|public|request|trace)-)(?:[\w-]{1,32}-)?key\d?)$/;

/** `name` in lower case. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name);
}

/** The word before a credential that is worth keeping: `Bearer`, `Basic`. */
export const AUTH_SCHEME = /^(?:Bearer|Basic|Digest|Negotiate|Token|ApiKey|AWS4-HMAC-SHA256) +/i;

/** A command-line option whose value is the next argument. */
export const SECRET_OPTION = new RegExp(`^--?[\\w-]{0,32}?(?:${NAME}|oauth2-bearer)$`, 'i');

/** Of openssl: its value says where the password comes from, and may be it. */
export const SOURCE_OPTION = /^-pass(?:in|out)?$/;

/** Options of curl whose value is `user:password`, a cookie (`name=value`, else the name of a file), a header. */
export const USER_OPTION = /^(?:-u|--user|--proxy-user)$/;
export const COOKIE_OPTION = /^-b$/;
export const HEADER_OPTION = /^(?:-H|--header|--proxy-header)$/;
