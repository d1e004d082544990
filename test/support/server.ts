/** A real server on a free port with a store of its own, and real clients. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Channel, createChannel } from "nice-grpc";
import { type Config, loadConfig } from "../../src/config/config.ts";
import { type RunningServer, startServer } from "../../src/host/server.ts";
import { Clock } from "../../src/model/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { type Clients, clientsOf } from "./clients.ts";
import { noRates } from "./rates.ts";

/** Clients of all services that call as one user. */
export interface UserClients extends Clients {
  userId: string;
  token: string;
  sessionId: string;
}

/** A server under test. */
export interface TestServer {
  server: RunningServer;
  address: string;
  dataDir: string;
  /** What it has logged so far, one parsed object a line. */
  logs: Record<string, unknown>[];
  /** What the server goes by. Turn it to have time pass. */
  clock: Clock;
  /** Logs a user in, on a device, and returns clients that send the token. */
  login: (userId: string, deviceId?: string) => Promise<UserClients>;
  /** Clients that send this metadata and nothing else, to the gRPC port or another address. */
  as: (metadata: Record<string, string>, address?: string) => Clients;
  /**
   * Closes the server and starts another on the same data and port, with other settings where given. What is to be
   * done to the data `meanwhile` is done between the two.
   */
  restart: (overrides?: Partial<Config>, meanwhile?: () => void) => Promise<void>;
  close: () => Promise<void>;
}

/** Starts a server without limits by rate, where all see each other's presence, unless they are given. Close it in the end; its data is deleted then. */
export async function startTestServer(overrides: Partial<Config> = {}): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "parlance-test-"));
  const logs: Record<string, unknown>[] = [];
  const config: Config = {
    ...loadConfig({ env: {} }),
    dataDir,
    port: 0,
    httpPort: 0,
    drainGraceMs: 2_000,
    // Tests look at what is said of calls, and for what must not be.
    logCalls: "all",
    ...noRates,
    // Users of tests are strangers to each other.
    presenceVisibility: "everyone",
    ...overrides,
  };
  const log = createLogger(config, { write: (line) => void logs.push(JSON.parse(line)) });
  const clock = new Clock();
  let server = await startServer(config, log, { clock });
  const channels: Channel[] = [];

  function as(metadata: Record<string, string>, address = server.address): Clients {
    const channel = createChannel(address, undefined, { "grpc.use_local_subchannel_pool": 1 });
    channels.push(channel);
    return clientsOf(channel, metadata);
  }

  return {
    get server() {
      return server;
    },
    get address() {
      return server.address;
    },
    dataDir,
    logs,
    clock,
    as,
    async login(userId, deviceId) {
      const { chat } = as({});
      const { sessionToken, sessionId } = await chat.login({
        credential: { case: "devUserId", value: userId },
        ...(deviceId !== undefined && { device: { deviceId } }),
      });
      return { userId, token: sessionToken, sessionId, ...as({ authorization: `Bearer ${sessionToken}` }) };
    },
    async restart(changed = {}, meanwhile) {
      const { port } = server;
      await server.close();
      meanwhile?.();
      server = await startServer({ ...config, ...changed, port }, log, { clock });
    },
    async close() {
      for (const channel of channels) channel.close();
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Content that is text. */
export function text(body: string) {
  return { kind: { case: "text" as const, value: { body } } };
}
