import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { countJetStream, createJetStream } from "../clients/nats.ts";
import type { Peer, RunningPeer } from "../peer.ts";
import { debianPackage } from "../setup/needs.ts";
import { freePort, startServer } from "./process.ts";

const needs = [debianPackage("nats-server")];

/** NATS as a bus: who is not there gets nothing. */
export const natsCore: Peer = {
  name: "nats",
  mode: "core",
  durable: false,
  settings: "defaults; clients with verbose and pedantic off",
  protocol: "nats",
  needs,
  start: (folder) => start(folder),
};

/** NATS with all messages in a stream on disk. */
export const natsJetStream: Peer = {
  name: "nats",
  mode: "JetStream",
  durable: true,
  settings:
    "one stream with file storage and one replica takes in all subjects and confirms each message, and members get it live; files are synced every 2 minutes, as is the default",
  protocol: "nats",
  needs,
  start: (folder) => start(folder, 'jetstream { store_dir: "jetstream" }\n'),
};

async function start(folder: string, jetStream?: string): Promise<RunningPeer> {
  const port = await freePort();
  const config = join(folder, "nats.conf");
  writeFileSync(config, `listen: "127.0.0.1:${port}"\n${jetStream ?? ""}`);
  const server = await startServer({
    command: "nats-server",
    args: ["-c", config],
    cwd: folder,
    logFile: join(folder, "log"),
    port,
  });
  const running = { port, pids: [server.pid], close: () => server.close() };
  if (jetStream === undefined) return running;
  await createJetStream(port);
  return { ...running, kept: () => countJetStream(port) };
}
