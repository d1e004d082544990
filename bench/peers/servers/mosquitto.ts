import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Peer, RunningPeer } from "../peer.ts";
import { debianPackage } from "../setup/needs.ts";
import { freePort, startServer } from "./process.ts";

const needs = [debianPackage("mosquitto")];

/** Mosquitto at its fastest: at most once, nothing kept. */
export const mosquittoQos0: Peer = {
  name: "mosquitto",
  mode: "QoS 0",
  durable: false,
  settings: "QoS 0, clean sessions, TCP_NODELAY, no limit on queues, no log",
  protocol: "mqtt",
  needs,
  start: (folder) => start(folder, "persistence false\n"),
};

/** Mosquitto with messages that wait for those who are away. */
export const mosquittoQos1: Peer = {
  name: "mosquitto",
  mode: "QoS 1",
  durable: true,
  settings:
    "QoS 1, sessions that the broker keeps, TCP_NODELAY, no limit on messages in flight and in queues, no log; queues are written to disk once a second, and what all have confirmed is not kept",
  protocol: "mqtt",
  needs,
  start: (folder) =>
    start(folder, `persistence true\npersistence_location ${folder}/\nautosave_interval 1\n`),
};

async function start(folder: string, persistence: string): Promise<RunningPeer> {
  const port = await freePort();
  const config = join(folder, "mosquitto.conf");
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n` +
      `max_inflight_messages 0\nmax_queued_messages 0\nlog_type error\n${persistence}` +
      // As root it would become the user mosquitto, to whom the folder does not belong.
      (process.getuid?.() === 0 ? "user root\n" : ""),
  );
  const server = await startServer({
    command: "mosquitto",
    args: ["-c", config],
    logFile: join(folder, "log"),
    port,
    env: { PATH: `${process.env["PATH"]}:/usr/sbin` },
  });
  return { port, pids: [server.pid], close: () => server.close() };
}
