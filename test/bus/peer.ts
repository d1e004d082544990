/**
 * Another node, as a process of its own: `node peer.ts URL`. It listens to
 * `user.peer` and answers what it gets on `user.test`, and answers requests on
 * `nodes` with its process id. What it logs goes to its standard output.
 */

import { createNatsBus } from "../../src/bus/nats/nats-bus.ts";
import { testEpoch } from "../support/test-epoch.ts";

const write = (_fields: object, message: string) => void process.stdout.write(`${message}\n`);
const log = { info: write, warn: write };
const bus = await createNatsBus({ store: testEpoch, url: process.argv[2] ?? "", log });
bus.subscribe("user.peer", (message) => {
  bus.publish("user.test", message);
  return undefined;
});
bus.subscribe("nodes", () => ({
  type: "node",
  name: `${process.pid}`,
  instanceId: "",
  address: "",
  version: "",
  startTimeMs: 0,
  timeMs: 0,
  sessions: 0,
  users: 0,
  draining: false,
}));
bus.onReset(() => write({}, "reset"));
process.on("SIGTERM", () => void bus.close());
process.stdout.write("ready\n");
