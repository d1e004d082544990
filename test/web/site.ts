/** Servers that serve the built page. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Config } from "../../src/config/config.ts";
import { freePort } from "../support/free-port.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

/** Where the built page is. */
export const pageFolder = fileURLToPath(new URL("../../dist/web", import.meta.url));

/** A server in this process. */
export interface Site extends TestServer {
  /** Where browsers find it, such as `127.0.0.1:8080`. */
  httpAddress: string;
}

/** Starts a server in this process that serves the page. */
export async function startSite(overrides?: Partial<Config>): Promise<Site> {
  requirePage();
  const server = await startTestServer({ presenceVisibility: "shared", ...overrides });
  const { httpAddress = "" } = server.server;
  return Object.assign(server, { httpAddress });
}

/** A server of its own process that can be killed and started again in the same place. */
export interface MortalSite {
  /** Where its data is. */
  dataDir: string;
  httpAddress: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Kills it and deletes its data. */
  close(): Promise<void>;
}

/** Starts a server of its own process that serves the page. */
export async function startMortalSite(): Promise<MortalSite> {
  requirePage();
  const data = makeDataDir();
  const httpPort = await freePort();
  const start = () => startServe(data.path, ["--http-port", String(httpPort)]);
  let child: ServeChild = await start();
  return {
    httpAddress: `127.0.0.1:${httpPort}`,
    dataDir: data.path,
    kill: () => child.kill(),
    async start() {
      child = await start();
    },
    async close() {
      await child.kill();
      data.remove();
    },
  };
}

function requirePage(): void {
  if (!existsSync(`${pageFolder}/index.html`))
    throw new Error("the web page is not built: run `npm run build:web`");
}
