/**
 * Every failure that the world can cause, in one registry. README.md in this
 * folder lists the same codes; a test compares the two.
 *
 * `exit` is the exit code of the command that ends with the error: 1 runtime,
 * 2 usage, 3 privilege, 4 kernel, 5 target not found. A launched command's own
 * failures are 125 (ours), 126 and 127 (as a shell gives them).
 */
const registry = {
  USAGE: { exit: 2 },
  CONFIG_INVALID: { exit: 2 },
  PRIVILEGE_MISSING: { exit: 3 },
  KERNEL_UNSUPPORTED: { exit: 4 },
  BTF_MISSING: { exit: 4 },
  BPF_LOAD_FAILED: { exit: 4 },
  BPF_ATTACH_FAILED: { exit: 4 },
  ADDON_MISSING: { exit: 1 },
  TARGET_NOT_FOUND: { exit: 5 },
  COMMAND_NOT_FOUND: { exit: 127 },
  COMMAND_NOT_EXECUTABLE: { exit: 126 },
  LAUNCH_FAILED: { exit: 125 },
  USER_UNKNOWN: { exit: 2 },
  OUTPUT_UNWRITABLE: { exit: 1 },
  CAPTURE_UNREADABLE: { exit: 1 },
  HUB_UNREACHABLE: { exit: 1 },
  HUB_VERSION: { exit: 1 },
  HUB_FOREIGN: { exit: 1 },
  LINK_PROTOCOL: { exit: 1 },
  PORT_IN_USE: { exit: 1 },
  DATA_DIR_LOCKED: { exit: 1 },
  DATA_DIR_UNUSABLE: { exit: 1 },
  STORE_ENGINE_MISSING: { exit: 1 },
  STORE_FAILED: { exit: 1 },
} as const satisfies Record<string, { readonly exit: number }>;

export type ErrorCode = keyof typeof registry;
export const ERROR_CODES = Object.keys(registry) as readonly ErrorCode[];

export interface ErrorOptions {
  readonly cause?: unknown;
  /** What to do about it, where we know. */
  readonly hint?: string | undefined;
  /** Long text that belongs to it, such as the verifier's log. */
  readonly detail?: string | undefined;
}

/**
 * An error of the world, not of this program. The message is lower-case and
 * says what was tried and why it failed: "could not open x: permission denied".
 */
export class AgentsightError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AgentsightError';
    this.code = code;
    this.hint = options.hint;
    this.detail = options.detail;
  }

  get exitCode(): number {
    return registry[this.code].exit;
  }
}

/** The text of anything thrown, for the end of a message. */
export function causeText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** The errno name (`ENOENT`) of a system error, or undefined. */
export function errnoOf(cause: unknown): string | undefined {
  if (typeof cause !== 'object' || cause === null || !('code' in cause)) return undefined;
  return typeof cause.code === 'string' ? cause.code : undefined;
}
