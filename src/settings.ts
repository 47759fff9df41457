/** The settings: their names, how each is spelled outside, and how its text becomes a value. */
import { AgentsightError } from './errors.ts';
import type { Source } from './event.ts';
import {
  BadValue, parseDirectory, parseLogLevel, parseMaxBytes, parsePlainPorts, parsePort, parseRingSize, parseSources, parseStoreUrl, parseSwitch,
} from './values.ts';
import type { LogLevel, Parse } from './values.ts';

export interface Settings {
  readonly port: number;
  readonly dataDir: string;
  readonly store: string | null;
  /** All rings together, in bytes. */
  readonly ringSize: number;
  /** Kept of one call that moves TLS or plain HTTP, in bytes. */
  readonly maxPayload: number;
  /** Ports whose connections are taken for plain HTTP. */
  readonly plainPorts: readonly number[];
  readonly sources: readonly Source[];
  readonly redact: boolean;
  readonly raw: boolean;
  readonly hub: boolean;
  readonly allFds: boolean;
  readonly logLevel: LogLevel;
}

export type SettingName = keyof Settings;

/** How each setting is spelled outside, and how its text becomes a value. */
export const SETTINGS = {
  port: { env: 'AGENTSIGHT_PORT', parse: parsePort },
  dataDir: { env: 'AGENTSIGHT_DATA_DIR', parse: parseDirectory },
  store: { env: 'AGENTSIGHT_STORE', parse: parseStoreUrl },
  ringSize: { env: 'AGENTSIGHT_RING_SIZE', parse: parseRingSize },
  maxPayload: { env: 'AGENTSIGHT_MAX_PAYLOAD', parse: parseMaxBytes },
  plainPorts: { env: 'AGENTSIGHT_PLAIN_PORT', parse: parsePlainPorts },
  sources: { env: 'AGENTSIGHT_SOURCE', parse: parseSources },
  redact: { env: 'AGENTSIGHT_REDACT', parse: parseSwitch },
  raw: { env: 'AGENTSIGHT_RAW', parse: parseSwitch },
  hub: { env: 'AGENTSIGHT_HUB', parse: parseSwitch },
  allFds: { env: 'AGENTSIGHT_ALL_FDS', parse: parseSwitch },
  logLevel: { env: 'AGENTSIGHT_LOG', parse: parseLogLevel },
} as const satisfies { readonly [Name in SettingName]: { readonly env: string; readonly parse: Parse<Settings[Name]> } };

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

export type Flags = { readonly [Name in SettingName]?: Settings[Name] | undefined };

/** Parses one setting's text; `where` is what the message names. */
export function parseSetting<Name extends SettingName>(name: Name, text: string, where: string): Settings[Name] {
  try {
    return SETTINGS[name].parse(text) as Settings[Name];
  } catch (cause) {
    if (!(cause instanceof BadValue)) throw cause;
    throw new AgentsightError('CONFIG_INVALID', `could not use ${where}: ${cause.message}`, { cause, hint: cause.hint });
  }
}
