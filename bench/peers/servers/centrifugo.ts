import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Peer, RunningPeer } from "../peer.ts";
import { debianPackage, goBinary, goProgram } from "../setup/needs.ts";
import { startPostgres } from "./postgres.ts";
import { freePort, startServer } from "./process.ts";

const module = "github.com/centrifugal/centrifugo/v6";
const program = goProgram(module, "v6.9.1");
const common = "Protobuf over WebSocket, no compression, pool of write buffers, log of errors only";

const client = { allow_anonymous_connect_without_token: true };

/** Centrifugo with its engine in memory. */
export const centrifugo: Peer = {
  name: "centrifugo",
  mode: "memory",
  durable: false,
  settings: `${common}; no history`,
  protocol: "centrifugo",
  needs: [program],
  start: (folder) => start(folder, {}, {}),
};

/** Centrifugo with its broker in PostgreSQL. */
export const centrifugoPostgres: Peer = {
  name: "centrifugo",
  mode: "PostgreSQL",
  durable: true,
  settings: `${common}; the PostgreSQL broker keeps a history of each channel and wakes nodes by NOTIFY, and clients may answer pings late; PostgreSQL's CPU time is counted`,
  protocol: "centrifugo",
  needs: [program, debianPackage("postgresql")],
  async start(folder) {
    const postgres = await startPostgres(folder);
    const dsn = `postgres://postgres@127.0.0.1:${postgres.port}/postgres?sslmode=disable`;
    try {
      const server = await start(
        folder,
        {
          broker: { enabled: true, type: "postgres", postgres: { dsn, use_notify: true } },
          // Answers to pings wait behind messages that wait for the database.
          client: { ...client, pong_timeout: "20s" },
        },
        { history_size: 10_000, history_ttl: "1h" },
      );
      return {
        port: server.port,
        pids: [...server.pids, postgres.pid],
        kept: async () => postgres.count("postgres", "cf_stream"),
        async close() {
          await server.close();
          await postgres.close();
        },
      };
    } catch (error) {
      await postgres.close();
      throw error;
    }
  },
};

async function start(folder: string, settings: object, channelSettings: object): Promise<RunningPeer> {
  const port = await freePort();
  const config = join(folder, "centrifugo.json");
  writeFileSync(
    config,
    JSON.stringify({
      http_server: { address: "127.0.0.1", port },
      log: { level: "error" },
      websocket: { use_write_buffer_pool: true },
      client,
      channel: {
        without_namespace: {
          allow_subscribe_for_client: true,
          allow_subscribe_for_anonymous: true,
          allow_publish_for_client: true,
          allow_publish_for_anonymous: true,
          ...channelSettings,
        },
      },
      ...settings,
    }),
  );
  const server = await startServer({
    command: goBinary(module),
    args: ["-c", config],
    cwd: folder,
    logFile: join(folder, "log"),
    port,
  });
  return { port, pids: [server.pid], close: () => server.close() };
}
