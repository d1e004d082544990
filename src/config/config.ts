/**
 * The server's configuration: every setting with its value, from (the first
 * that tells) command-line options, environment variables `PARLANCE_…`, a JSON
 * file, defaults. Nothing else reads the environment.
 */

import { failPointsProblem, failPointsVariable } from "../fail-points.ts";
import { exposureProblem } from "./exposure.ts";
import { type Config, optionOf, type Setting, type SettingName, settings, variableOf } from "./settings.ts";
import { readTextFile } from "./text-file.ts";

export { type Config, type Setting, type SettingName, settings };

/** Where configuration comes from. */
export interface ConfigSources {
  /** Command-line options by the names of settings. Undefined values count as absent. */
  options?: Record<string, unknown>;
  /** The environment; by default the process's own. */
  env?: Record<string, string | undefined>;
  /** The path of a JSON file: one object, its keys the names of settings. By default that in `PARLANCE_CONFIG`. */
  file?: string | undefined;
}

/** Says in one line which setting is wrong, how, and what it takes. Never holds the value of a secret. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** The variable that names the JSON file. */
const fileVariable = "PARLANCE_CONFIG";

/** These variables belong to tests and benchmarks. */
const foreignVariable = /^PARLANCE_(TEST_|BENCH_|FAILPOINTS$)/;

/**
 * Reads the configuration.
 *
 * An empty environment variable counts as absent. Flags are written `true`,
 * `on`, `1` or `false`, `off`, `0`.
 *
 * @throws ConfigError for the first setting found to be unknown or wrong
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  if (failPointsProblem !== undefined) throw new ConfigError(`${failPointsVariable}: ${failPointsProblem}`);
  const layers = readLayers(sources, true);
  return settle(readValues(Object.keys(settings) as SettingName[], layers));
}

/**
 * Reads some settings only, for a command that concerns itself with nothing
 * else: others may be unknown or wrong. A secret that is asked for also comes
 * from its file.
 *
 * @throws ConfigError for the first of them found to be wrong
 */
export function loadSettings<Name extends SettingName>(
  names: readonly Name[],
  sources: ConfigSources = {},
): Pick<Config, Name> {
  return readValues(names, readLayers(sources, false));
}

/**
 * Returns what to say of each secret among command-line options: other users of
 * the machine can read those. Never holds a piece of it.
 */
export function visibleSecrets(options: Record<string, unknown>): { option: string; message: string }[] {
  return Object.entries(settings)
    .filter(([name, { secret }]) => secret && holdsSecret(name, options[name]))
    .map(([name]) => ({
      option: optionOf(name),
      message: `other users of this machine can read ${optionOf(name)}; set ${variableOf(name)}${isSecretName(name) ? ` or ${variableOf(`${name}File`)}` : ""} instead`,
    }));
}

/** A URL is a secret only when it has a password or a token. */
function holdsSecret(name: string, value: unknown): boolean {
  if (typeof value !== "string") return false;
  return !name.endsWith("Url") || /\/\/[^/]*@|[?&]password=/.test(value);
}

/** @param strict whether to refuse what is no setting */
function readLayers({ options = {}, env = process.env, file }: ConfigSources, strict: boolean): Layer[] {
  return [
    readOptions(options),
    readVariables(env, strict),
    readFile(file ?? (env[fileVariable] || undefined), strict),
  ];
}

function readValues<Name extends SettingName>(
  names: readonly Name[],
  layers: readonly Layer[],
): Pick<Config, Name> {
  const values: Record<string, unknown> = {};
  for (const name of names) values[name] = isSecretName(name) ? readSecret(name, layers) : read(name, layers);
  return values as Pick<Config, Name>;
}

/** The values that one source gives, by the names of settings. */
interface Layer {
  values: Map<string, unknown>;
  /** Whether numbers and flags are written as text. */
  written: boolean;
  /** Names the source of a setting for people. */
  place: (name: string) => string;
}

function readOptions(options: Record<string, unknown>): Layer {
  const values = new Map(Object.entries(options).filter(([, value]) => value !== undefined));
  refuseUnknown(values.keys(), (name) => `${optionOf(name)} is no option`);
  return { values, written: true, place: optionOf };
}

function readVariables(env: Record<string, string | undefined>, strict: boolean): Layer {
  const names = new Map(Object.keys(settings).map((name) => [variableOf(name), name]));
  const values = new Map<string, unknown>();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith("PARLANCE_") || foreignVariable.test(variable) || variable === fileVariable)
      continue;
    const name = names.get(variable);
    if (name === undefined && strict) throw new ConfigError(`${variable} is no setting; ${wayOut}`);
    if (name !== undefined && value) values.set(name, value);
  }
  return { values, written: true, place: variableOf };
}

function readFile(path: string | undefined, strict: boolean): Layer {
  const place = (name: string) => `"${name}" in ${path}`;
  if (path === undefined) return { values: new Map(), written: false, place };
  const text = readText(path, "the configuration file");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // biome-ignore lint/style/useErrorCause: its message repeats a piece of the file, which may hold a secret
    throw new ConfigError(`the configuration file ${path} is not JSON`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ConfigError(
      `the configuration file ${path} must hold one JSON object with the names of settings as keys`,
    );
  }
  const values = new Map<string, unknown>(Object.entries(json));
  if (strict) refuseUnknown(values.keys(), (name) => `${place(name)} is no setting`);
  return { values, written: false, place };
}

const wayOut = "`parlance serve --help` lists all";

function refuseUnknown(names: Iterable<string>, say: (name: string) => string): void {
  for (const name of names) {
    if (!Object.hasOwn(settings, name)) throw new ConfigError(`${say(name)}; ${wayOut}`);
  }
}

function read(name: SettingName, layers: readonly Layer[]): unknown {
  const setting: Setting<unknown> = settings[name];
  const layer = layers.find(({ values }) => values.has(name));
  if (layer === undefined) return setting.default;
  const given = layer.values.get(name);
  const value = layer.written && typeof given === "string" ? parse(setting, given) : given;
  if (setting.schema.safeParse(value).success)
    return typeof value === "string" ? (normalForms[name]?.(value) ?? value) : value;
  const shown = setting.secret ? "holds something else" : `is ${JSON.stringify(given)}`;
  throw new ConfigError(`${name} must be ${setting.allowed}, but ${layer.place(name)} ${shown}`);
}

/** How a value that can be written in several ways is kept. */
const normalForms: { [Name in SettingName]?: (value: string) => string } = {
  host: withoutBrackets,
  adminHost: withoutBrackets,
  httpBasePath: (path) => path.replace(/(?<=.)\/$/, ""),
};

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

const flagWords = new Map([
  ["true", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["off", false],
  ["0", false],
]);

/** Reads what is written as text; what cannot be read comes back as it is and fails the schema. */
function parse(setting: Setting<unknown>, given: string): unknown {
  if (setting.kind === "flag") return flagWords.get(given) ?? given;
  if (setting.kind === "integer") return /^-?\d{1,15}$/.test(given) ? Number(given) : given;
  return given;
}

/** Checks what concerns several settings. */
function settle(config: Config): Config {
  const problem = exposureProblem(config);
  if (problem !== undefined) throw new ConfigError(problem);
  if (config.auth === "jwt" && config.jwtSecret === undefined) {
    throw new ConfigError(
      "jwtSecret is not set, and auth=jwt needs it; set PARLANCE_JWT_SECRET or PARLANCE_JWT_SECRET_FILE (at least 32 bytes)",
    );
  }
  if (config.natsUrl !== undefined && config.databaseUrl === undefined) {
    throw new ConfigError(
      "natsUrl is set and databaseUrl is not: nodes need a store that all of them share; set PARLANCE_DATABASE_URL, or leave natsUrl out",
    );
  }
  if (config.workers !== "1" && config.natsUrl === undefined) {
    throw new ConfigError(
      `workers is ${config.workers}, and several processes need databaseUrl and natsUrl; set PARLANCE_DATABASE_URL and PARLANCE_NATS_URL, or leave workers out`,
    );
  }
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    throw new ConfigError("tlsCertFile and tlsKeyFile go together; set both or none");
  }
  if ((config.natsTlsCertFile === undefined) !== (config.natsTlsKeyFile === undefined)) {
    throw new ConfigError("natsTlsCertFile and natsTlsKeyFile go together; set both or none");
  }
  if (config.natsPassword !== undefined && config.natsUser === undefined) {
    throw new ConfigError("natsPassword needs natsUser");
  }
  if (config.maxRequestBytes < config.maxContentBytes + requestOverheadBytes) {
    throw new ConfigError(
      `maxRequestBytes must be at least ${requestOverheadBytes} more than maxContentBytes (${config.maxContentBytes}), but is ${config.maxRequestBytes}`,
    );
  }
  if (config.outboxMaxBytes < config.maxRequestBytes) {
    throw new ConfigError(
      `outboxMaxBytes must be at least maxRequestBytes (${config.maxRequestBytes}), but is ${config.outboxMaxBytes}`,
    );
  }
  if (config.sessionMaxAgeMs >= config.maxConnectionAgeMs) {
    throw new ConfigError(
      `sessionMaxAgeMs must be lower than maxConnectionAgeMs (${config.maxConnectionAgeMs}), but is ${config.sessionMaxAgeMs}`,
    );
  }
  return config;
}

/** The bytes a send may need beyond its content: ids, mentions, labels. */
const requestOverheadBytes = 32_768;

/** Settings that hold a secret, each with another that names a file with it. */
const secretNames = ["jwtSecret", "natsPassword", "adminToken"] as const;
type SecretName = (typeof secretNames)[number];

function isSecretName(name: string): name is SecretName {
  return (secretNames as readonly string[]).includes(name);
}

/** Reads a secret or its file. The two are one setting in two forms: the more important source wins. */
function readSecret(name: SecretName, layers: readonly Layer[]): unknown {
  const fileName = `${name}File` as const;
  const giver = layers.find(({ values }) => values.has(name) || values.has(fileName));
  if (!giver?.values.has(fileName)) return read(name, layers);
  if (giver.values.has(name)) throw new ConfigError(`${name} and ${fileName} are both set; leave one out`);
  const path = String(read(fileName, layers));
  const secret = readText(path, fileName).replace(/\r?\n$/, "");
  if (!settings[name].schema.safeParse(secret).success) {
    throw new ConfigError(
      `${fileName} must name a file with ${settings[name].allowed}, but ${path} holds something else`,
    );
  }
  return secret;
}

function readText(path: string, what: string): string {
  try {
    return readTextFile(path);
  } catch (error) {
    throw new ConfigError(`${what} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
