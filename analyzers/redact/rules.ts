/**
 * What a secret looks like: by the name in front of it, or by its own shape.
 *
 * Each rule is a regular expression that ends with the secret, in group 1 where
 * something stands before it. All are linear: no rule starts with a repetition,
 * and no repetition contains another. They are applied to text in which one
 * character stands for one byte (latin1), or to JavaScript text; all that they
 * look for is ASCII.
 *
 * A rule must find masked text ("******") harmless or mask it again to the same,
 * so that a masked capture can be masked once more.
 */

/** Last word of a name whose value is secret; `tokens` (a number) is not `token`. */
const NAME = String.raw`(?:api[-_]?key|access[-_]?key|secret[-_]?key|private[-_]?key|auth[-_]?key|signing[-_]?key|secret|token|passwd|password|passphrase|credential|authorization)`;

/** Query and form parameters: names that are secret there though not in prose. */
const PARAMETER = String.raw`(?:key|sig|signature|code_verifier|client_assertion|x-amz-signature|x-amz-credential|x-goog-signature|${NAME})`;

export const RULES: readonly RegExp[] = [
  // "api_key": "…", also inside a JSON string, where quotes carry backslashes.
  new RegExp(String.raw`${NAME}\\{0,3}["']\s{0,8}:\s{0,8}\\{0,3}["']([^"'\\]{1,16384})`, 'gi'),
  // ?key=…&token=…, and the same in a form body.
  new RegExp(String.raw`[?&;]\w{0,32}?${PARAMETER}=([^&\s"'#;\\<>]{1,8192})`, 'gi'),
  // ANTHROPIC_API_KEY=…, of an environment or a shell.
  /(?:API_?KEY|ACCESS_KEY|ACCESS_KEY_ID|SECRET|SECRET_KEY|PRIVATE_KEY|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)=["']?([^\s"'\\;&]{1,8192})/g,
  // --api-key=…, --token …
  new RegExp(String.raw`--[\w-]{0,32}?${NAME}[= ]["']?([^\s"'\\]{1,8192})`, 'gi'),
  // https://user:password@host
  /:\/\/[^\s/:@"'\\]{0,256}:([^\s/@"'\\]{1,1024})@/g,
  // Authorization: Bearer …
  /\b(?:Bearer|Basic)\s{1,4}([\w.~+/=-]{8,16384})/g,
  // Keys of model providers.
  /\bsk-(?:ant-)?[\w-]{16,512}/g,
  /\bAIza[\w-]{30,64}/g,
  /\bhf_[A-Za-z0-9]{20,128}/g,
  /\bgsk_[A-Za-z0-9]{20,128}/g,
  /\bxai-[A-Za-z0-9]{20,256}/g,
  // Of code hosts, registries, clouds, chat.
  /\bgh[opsur]_[A-Za-z0-9]{20,255}/g,
  /\bgithub_pat_\w{20,255}/g,
  /\bglpat-[\w-]{16,255}/g,
  /\bnpm_[A-Za-z0-9]{30,64}/g,
  /\bA(?:KIA|SIA)[A-Z0-9]{16}\b/g,
  /\bxox[abeoprs]-[\w-]{10,255}/g,
  // A signed token (RFC 7519).
  /\beyJ[\w-]{8,8192}\.eyJ[\w-]{8,16384}\.[\w-]{8,8192}/g,
  // A private key (RFC 7468), also with its newlines escaped.
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----([^-]{16,16384})/g,
];

/** A value that is secret as a whole because of its header's name. */
const SECRET_HEADER = /^(?:authorization|proxy-authorization|cookie|set-cookie|.*(?:api-?key|token|secret|password|credential|session-id|auth-key|access-key))$/;

/** `name` in lower case. */
export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name);
}

/** The word before a credential that is worth keeping: `Bearer`, `Basic`. */
export const AUTH_SCHEME = /^(?:Bearer|Basic|Digest|Negotiate|Token|AWS4-HMAC-SHA256) +/i;

/** A command-line option whose value is the next argument. */
export const SECRET_OPTION = new RegExp(`^--?[\\w-]{0,32}?${NAME}$`, 'i');
