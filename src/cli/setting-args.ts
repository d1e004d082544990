import type { ArgsDef } from "citty";
import { optionOf, type Setting, settings } from "../config/settings.ts";

/** The options of `serve`: `--config` and one for each setting, described by the table of settings. */
export const settingArgs: ArgsDef = {
  config: {
    type: "string",
    valueHint: "file",
    description: "A JSON file with settings, its keys named as in docs/settings.md.",
  },
  ...Object.fromEntries(
    Object.entries<Setting<unknown>>(settings).map(([name, setting]) => [key(name), argOf(setting)]),
  ),
};

/** Picks the settings that were given as options, for `loadConfig`. */
export function settingOptions(args: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(settings).map((name) => [name, args[key(name)]]));
}

/** The option's name without its dashes. */
function key(name: string): string {
  return optionOf(name).slice(2);
}

function argOf(setting: Setting<unknown>): ArgsDef[string] {
  // No `default`, which would count as given and win over the environment.
  const hint = setting.default === undefined ? "" : ` (Default: ${setting.default})`;
  const description = setting.description + hint;
  if (setting.kind === "flag") return { type: "boolean", description, negativeDescription: "Turns it off." };
  return {
    type: "string",
    valueHint: setting.kind === "integer" ? (setting.unit ?? "number") : "text",
    description,
  };
}
