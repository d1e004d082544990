import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { variableOf } from "../../src/config/settings.ts";
import { jwtSecret } from "../load/tokens.ts";
import { startChild } from "./child.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A server that is measured. */
export interface MeasuredServer {
  /** Where it listens for gRPC. */
  readonly address: string;
  readonly pid: number;
  /** Begins a CPU profile, kept when the server closes, if there is to be one. */
  startProfile(): Promise<void>;
  close(): Promise<void>;
}

/** `parlance serve`. */
export interface ParlanceServer extends MeasuredServer {
  /** Where it listens for HTTP. */
  readonly httpAddress: string;
}

/** How to run `parlance serve`. */
export interface ParlanceOptions {
  /** The root of the sources to run. */
  source: string;
  /** Where to leave CPU profiles, one for each thread; undefined for none. */
  profileDir?: string | undefined;
  /** Settings beside those of every measurement, as in the environment. */
  env?: Readonly<Record<string, string>>;
}

const profiler = new URL("./profiler.ts", import.meta.url).href;

/** Every setting is at its default, except what keeps thousands of clients from coming at once. */
const serverEnv = {
  PARLANCE_PORT: "0",
  PARLANCE_HTTP_PORT: "0",
  PARLANCE_LOG_LEVEL: "warn",
  PARLANCE_JWT_SECRET: jwtSecret,
  PARLANCE_MAX_NEW_SESSIONS_PER_SECOND: "0",
  PARLANCE_MAX_SESSIONS: "100000",
  PARLANCE_DRAIN_GRACE_MS: "500",
};

/**
 * Limits by rate that nobody here meets, and that are counted all the same. Sources from before they were there take no
 * such settings.
 */
function ratesEnv(source: string): Record<string, string> {
  const file = ["src/config/settings.ts", "src/settings.ts"]
    .map((name) => join(source, name))
    .find(existsSync);
  if (file === undefined) throw new Error(`${source} holds no sources of Parlance`);
  const known = readFileSync(file, "utf8");
  const settings = [...known.matchAll(/^ {2}(max\w+Per(?:Second|Minute)): rate/gm)].map(
    ([, name = ""]) => name,
  );
  return Object.fromEntries(settings.map((name) => [variableOf(name), "1000000"]));
}

/** Starts `parlance serve` with a data folder of its own. */
export async function startParlance({
  source,
  profileDir,
  env = {},
}: ParlanceOptions): Promise<ParlanceServer> {
  const data = temporaryFolder();
  const profiled = profileDir !== undefined;
  if (profiled) mkdirSync(profileDir, { recursive: true });
  const child = await startChild({
    command: process.execPath,
    args: [...(profiled ? ["--import", profiler] : []), join(source, "src/main.ts"), "serve"],
    env: {
      ...serverEnv,
      ...ratesEnv(source),
      PARLANCE_DATA_DIR: data.path,
      ...(profiled && { PARLANCE_BENCH_PROFILE_DIR: resolve(profileDir) }),
      ...env,
    },
    ready: /\n\n/,
    listens: profiled,
  });
  const addresses = child.greeting.match(/127\.0\.0\.1:\d+/g) ?? [];
  let profiling = false;
  return {
    pid: child.pid,
    address: addresses[0] ?? "",
    httpAddress: addresses[1] ?? "",
    async startProfile() {
      if (!profiled || profiling) return;
      profiling = true;
      await child.ask("start");
    },
    async close() {
      if (profiling) await child.ask("stop");
      await child.close();
      data.remove();
    },
  };
}

/** The floors there are: files in `bench/floor`. */
export type FloorName = "streams" | "tcp" | "unary";

/** Starts a floor. */
export async function startFloor(name: FloorName, ...args: string[]): Promise<MeasuredServer> {
  const file = fileURLToPath(new URL(`../floor/${name}.ts`, import.meta.url));
  const { pid, greeting, close } = await startChild({
    command: process.execPath,
    args: [file, ...args],
    ready: /listens on .*\n/,
  });
  return { pid, close, address: /127\.0\.0\.1:\d+/.exec(greeting)?.[0] ?? "", startProfile: async () => {} };
}
