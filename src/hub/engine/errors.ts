/** Errors in ClickHouse's own terms: a number, a name, a text, and the HTTP status it gives them. */

export class EngineError extends Error {
  readonly code: number;
  readonly type: string;

  constructor(code: number, type: string, message: string) {
    super(message);
    this.code = code;
    this.type = type;
  }
}

export interface ExceptionReply {
  readonly code: number;
  readonly status: number;
  /** `Code: 62. DB::Exception: … (SYNTAX_ERROR)`: what clients parse. */
  readonly text: string;
}

const STATUS: Readonly<Record<number, number>> = {
  60: 404, 81: 404, 516: 403, 497: 403, 202: 503, 307: 413, 48: 501,
  62: 400, 47: 400, 27: 400, 26: 400, 117: 400, 115: 404, 456: 400, 457: 400,
};

export function exceptionReply(error: unknown): ExceptionReply {
  if (error instanceof EngineError) {
    return { code: error.code, status: STATUS[error.code] ?? 500, text: `Code: ${error.code}. DB::Exception: ${error.message}. (${error.type})\n` };
  }
  const message = error instanceof Error ? error.message : String(error);
  const code = Number(/^Code: (\d+)\./m.exec(message)?.[1] ?? 1002);
  const text = message.startsWith('Code: ') ? message : `Code: ${code}. DB::Exception: ${message}. (UNKNOWN_EXCEPTION)`;
  return { code, status: STATUS[code] ?? 500, text: `${text.trimEnd()}\n` };
}
