/**
 * What a config file may hold: JSON, every key optional, unknown keys refused.
 *
 *   { "port": 7395, "ringSize": "32M", "sources": ["process", "http"], "redact": true }
 *
 * The shape is checked here; what a value's text means is the business of
 * values.ts, as it is for flags and variables.
 */
import { z } from 'zod';
import { SETTINGS, SETTING_NAMES, parseSetting } from './settings.ts';
import type { Flags, SettingName } from './settings.ts';
import { invalidConfigFile } from './config-file.ts';
import type { ConfigFile } from './config-file.ts';
import { closest } from './suggest.ts';

const textOrNumber = z.union([z.string(), z.number()], 'must be text or a number').optional();
const yesOrNo = z.boolean('must be true or false').optional();
const text = z.string('must be text').optional();

const schema = z.strictObject({
  port: textOrNumber,
  dataDir: z.string('must be text').startsWith('/', 'must be an absolute path').optional(),
  store: text,
  ringSize: textOrNumber,
  maxPayload: textOrNumber,
  plainPorts: z.union([z.string(), z.number(), z.array(z.number())], 'must be a port or a list of them').optional(),
  sources: z.union([z.string(), z.array(z.string())], 'must be a list of names').optional(),
  redact: yesOrNo,
  raw: yesOrNo,
  hub: yesOrNo,
  allFds: yesOrNo,
  logLevel: text,
} satisfies Record<SettingName, z.ZodType>, 'it must hold one JSON object');

/** Throws CONFIG_INVALID, naming the file and the key. */
export function settingsOf({ path, content }: ConfigFile): Flags {
  const result = schema.safeParse(content);
  if (!result.success) throw refusal(path, result.error.issues[0]);
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of SETTING_NAMES) {
    const value = result.data[name];
    if (value !== undefined) values[name] = parseSetting(name, String(value), `"${name}" in ${path}`);
  }
  return values as Flags;
}

function refusal(path: string, issue: z.core.$ZodIssue | undefined): Error {
  if (issue?.code === 'unrecognized_keys') {
    const unknown = issue.keys[0] ?? '';
    const meant = closest(unknown, Object.keys(SETTINGS));
    const hint = meant === undefined ? `its keys are ${SETTING_NAMES.join(', ')}` : `did you mean "${meant}"?`;
    return invalidConfigFile(path, `there is no setting "${unknown}"`, hint);
  }
  const key = issue?.path.map(String).join('.') ?? '';
  const message = issue?.message ?? 'it does not fit';
  return invalidConfigFile(path, key === '' ? message : `"${key}" ${message}`);
}
