/** The process that is the clients of a peer, apart from its server and from what measures. */

import { pinLoad } from "../../lib/pinning.ts";
import { protocols } from "../clients/protocols.ts";
import { openDirect } from "./direct.ts";
import { openFanOut } from "./fan-out.ts";
import type { Load } from "./load.ts";
import { openClients } from "./open.ts";
import type { Command, Order, Report } from "./orders.ts";
import { Tally } from "./tally.ts";

let load: Load | undefined;

pinLoad();
process.on("disconnect", () => process.exit());
process.on("message", (command: Command) => {
  obey(command).then(report, (error) => report({ kind: "failed", why: error.message }));
});

async function obey(command: Command): Promise<Report> {
  if (command.kind === "connect") {
    load = await open(command.order);
    return { kind: "connected" };
  }
  if (load === undefined) throw new Error("nothing is connected");
  return { kind: "ran", done: await load.run(command.seconds) };
}

async function open(order: Order): Promise<Load> {
  const answers = protocols[order.protocol].answers(order.durable);
  switch (order.job) {
    case "fanout-idle":
    case "fanout-load":
      return await openFanOut(order, answers);
    case "direct":
      return await openDirect(order, answers);
    case "idle":
      return await openIdle(order);
  }
}

/** Sessions that do nothing but answer pings. */
async function openIdle(order: Order): Promise<Load> {
  const tally = new Tally();
  await openClients(order, tally);
  return {
    tally,
    async run(seconds) {
      const startMs = performance.now();
      await tally.during(new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
      return { units: 0, messages: 0, elapsedMs: performance.now() - startMs };
    },
  };
}

function report(message: Report): void {
  process.send?.(message);
}
