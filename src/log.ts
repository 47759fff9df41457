/**
 * The log on stderr: one readable line on a terminal, JSON elsewhere, by pino.
 * pino takes 22 ms to load, so it is loaded by the first line that is written:
 * a quiet trace never pays for it.
 */
import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import { LOG_LEVELS } from './values.ts';
import type { LogLevel } from './values.ts';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether a line of this level would be written: for fields that cost something to make. */
  writes(level: LogLevel): boolean;
}

export interface LogDestination {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** stderr when left out. */
  readonly destination?: LogDestination;
}

export function createLog({ level, destination = process.stderr }: LogOptions): Log {
  let logger: Logger | undefined;
  const threshold = LOG_LEVELS.indexOf(level);
  const writes = (wanted: LogLevel): boolean => LOG_LEVELS.indexOf(wanted) >= threshold && wanted !== 'silent';
  const line = (wanted: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields: LogFields = {}) => {
    if (!writes(wanted)) return;
    logger ??= openLogger(level, destination);
    logger[wanted](fields, message);
  };
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error'), writes };
}

function openLogger(level: LogLevel, destination: LogDestination): Logger {
  // pino is CommonJS: required, it loads at once, where import() would make every log line wait.
  const pino = createRequire(import.meta.url)('pino') as typeof import('pino').default;
  const stream = destination.isTTY === true
    ? { write: (json: string) => destination.write(readable(json)) }
    : { write: (json: string) => destination.write(json) };
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, stream);
}

/** `12:01:02.345 warn  message key=value` */
function readable(json: string): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${plain(value)}`).join('');
  return `${clock} ${String(level).padEnd(5)} ${escapeControls(String(msg))}${rest}\n`;
}

function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : escapeControls(text);
}

/** What a traced program chose to be called must not drive the terminal. */
function escapeControls(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
