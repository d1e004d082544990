/** Servers for tests that do in a second what users do in a day. */

import { defaultLoginRates, defaultUserRates } from "../../src/chat/rate-limits.ts";
import { variableOf } from "../../src/config/settings.ts";

/** Settings without limits by rate. */
export const noRates = Object.fromEntries(
  Object.keys({ ...defaultUserRates, ...defaultLoginRates }).map((name) => [name, 0]),
) as unknown as typeof defaultUserRates & typeof defaultLoginRates;

/** The same for the environment of a process. */
export const noRatesEnv: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(noRates).map((name) => [variableOf(name), "0"]),
);

/** Puts the defaults back in the environment of a process that was to have no limits. */
export const defaultRatesEnv: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(noRatesEnv).map((variable) => [variable, ""]),
);

/** The environment of a `serve` for tests: no limits by rate, and all see each other's presence, unless `env` says so. */
export function serveEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_OPTIONS: "",
    ...noRatesEnv,
    PARLANCE_PRESENCE_VISIBILITY: "everyone",
    ...env,
  };
}
