/** `agentsight-ts config`: the settings in force, and where each one comes from. */
import { configPathOf } from '../config.ts';
import { SETTINGS, SETTING_NAMES } from '../settings.ts';
import type { SettingName, Settings } from '../settings.ts';
import { formatSize } from '../values.ts';
import type { Context } from './context.ts';

export function printConfig({ json }: { readonly json: boolean }, { config, user }: Context): number {
  const { settings, origins, file } = config;
  if (json) {
    const store = settings.store === null ? null : withoutPassword(settings.store);
    process.stdout.write(`${JSON.stringify({ file, settings: { ...settings, store }, origins }, null, 2)}\n`);
    return 0;
  }
  const lines = SETTING_NAMES.map((name) => `${name.padEnd(10)} ${shown(name, settings).padEnd(34)} ${origin(name, origins[name])}`);
  const where = file === null ? `no config file (${configPathOf(user, process.env)} would be read)` : `config file ${file}`;
  process.stdout.write(`${where}\n\n${lines.join('\n')}\n`);
  return 0;
}

function shown(name: SettingName, settings: Settings): string {
  if (name === 'ringSize' || name === 'maxPayload') return formatSize(settings[name]);
  if (name === 'plainPorts' && settings.plainPorts.length === 0) return 'none';
  if (name === 'store' && settings.store !== null) return withoutPassword(settings.store);
  return String(settings[name] ?? 'embedded');
}

function origin(name: SettingName, from: string): string {
  return from === 'default' ? `default; ${SETTINGS[name].env} sets it` : `from ${from}`;
}

/** A terminal is looked over and a listing is pasted into reports. */
function withoutPassword(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.href;
}
