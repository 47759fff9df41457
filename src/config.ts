/**
 * One set of settings from four places: flags, then AGENTSIGHT_* variables,
 * then the config file, then defaults. The place each value came from is kept,
 * so that a complaint can name it and `agentsight-ts config` can show it.
 */
import { join } from 'node:path';
import { readConfigFile } from './config-file.ts';
import { LIMITS } from './limits.ts';
import { DEFAULT_PORT, dataDirOf } from './paths.ts';
import { parseSetting, SETTINGS, SETTING_NAMES } from './settings.ts';
import type { Flags, SettingName, Settings } from './settings.ts';
import { closest } from './suggest.ts';
import type { User } from './user.ts';
import { DEFAULT_SOURCES } from './values.ts';

/** Names the config file by itself. */
export const CONFIG_ENV = 'AGENTSIGHT_CONFIG';

export interface Config {
  readonly settings: Settings;
  /** `flag`, `default`, a variable's name or a file's path. */
  readonly origins: Readonly<Record<SettingName, string>>;
  /** The file that was read, or null where there is none. */
  readonly file: string | null;
  /** What looks like a mistake and is not one for certain. */
  readonly warnings: readonly string[];
}

export interface ConfigRequest {
  readonly flags: Flags;
  readonly environment: NodeJS.ProcessEnv;
  readonly user: User;
  /** `--config`: then the file must exist. */
  readonly file?: string | undefined;
}

/** Throws CONFIG_INVALID, naming the variable, or the file and the key. */
export async function loadConfig({ flags, environment, user, file }: ConfigRequest): Promise<Config> {
  const named = file ?? environment[CONFIG_ENV];
  const path = named ?? configPathOf(user, environment);
  const read = await readConfigFile({ path, required: named !== undefined, user });
  // zod takes 50 ms to load, a tenth of what a trace may take to be ready: only for a file that is there.
  const fileValues = read === undefined ? {} : (await import('./config-schema.ts')).settingsOf(read);
  const layers: readonly Layer[] = [
    { origin: () => 'flag', values: flags },
    { origin: (name) => SETTINGS[name].env, values: fromEnvironment(environment) },
    { origin: () => read?.path ?? '', values: fileValues },
    { origin: () => 'default', values: defaults(user, environment) },
  ];
  const { settings, origins } = merge(layers);
  return { settings, origins, file: read?.path ?? null, warnings: unknownVariables(environment) };
}

/** XDG_CONFIG_HOME counts only when it is the user's own: see dataDirOf. */
export function configPathOf(user: User, environment: NodeJS.ProcessEnv): string {
  const own = (process.getuid?.() ?? 0) === user.uid;
  const xdg = own ? environment['XDG_CONFIG_HOME'] : undefined;
  const base = xdg !== undefined && xdg.startsWith('/') ? xdg : join(user.home, '.config');
  return join(base, 'agentsight-ts', 'config.json');
}

interface Layer {
  readonly origin: (name: SettingName) => string;
  readonly values: Flags;
}

function defaults(user: User, environment: NodeJS.ProcessEnv): Settings {
  return {
    port: DEFAULT_PORT,
    dataDir: dataDirOf(user, environment),
    store: null,
    ringSize: LIMITS.ringBytes,
    maxPayload: LIMITS.payloadBytesPerCall,
    plainPorts: [],
    sources: DEFAULT_SOURCES,
    redact: true,
    raw: false,
    hub: true,
    allFds: false,
    logLevel: 'warn',
  };
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Flags {
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of SETTING_NAMES) {
    const { env } = SETTINGS[name];
    const text = environment[env];
    // An empty variable is how a shell unsets one for a single command.
    if (text !== undefined && text !== '') values[name] = parseSetting(name, text, env);
  }
  return values as Flags;
}

/** The first layer that has a value wins; the last one has them all. */
function merge(layers: readonly Layer[]): { settings: Settings; origins: Record<SettingName, string> } {
  const settings: Partial<Record<SettingName, unknown>> = {};
  const origins: Partial<Record<SettingName, string>> = {};
  for (const name of SETTING_NAMES) {
    const layer = layers.find(({ values }) => values[name] !== undefined);
    if (layer === undefined) throw new Error(`setting ${name} has no default`);
    settings[name] = layer.values[name];
    origins[name] = layer.origin(name);
  }
  return { settings: settings as unknown as Settings, origins: origins as Record<SettingName, string> };
}

function unknownVariables(environment: NodeJS.ProcessEnv): readonly string[] {
  const known: readonly string[] = [...SETTING_NAMES.map((name) => SETTINGS[name].env), CONFIG_ENV];
  return Object.keys(environment)
    .filter((name) => name.startsWith('AGENTSIGHT_') && !known.includes(name))
    .map((name) => {
      const meant = closest(name, known);
      return `${name} is not a setting and was left aside${meant === undefined ? '' : `: did you mean ${meant}?`}`;
    });
}
