import type { Client } from "../clients/client.ts";
import type { Load } from "./load.ts";
import { openClients } from "./open.ts";
import type { Order } from "./orders.ts";
import { runUntilDone } from "./run.ts";
import { Tally } from "./tally.ts";

/** The group that everybody is in. */
const group = "everybody";
/** How many messages are under way when it should go as fast as it can. */
const loadWindow = 100;

/** One member of a group sends, all get it: one message at a time, or always a hundred under way. */
export async function openFanOut(order: Order, answers: boolean): Promise<Load> {
  const tally = new Tally();
  const clients = await openClients(order, tally, (client) => client.join(group));
  const [sender] = clients as [Client, ...Client[]];
  const window = order.job === "fanout-idle" ? 1 : loadWindow;

  return {
    tally,
    async run(seconds) {
      return await runUntilDone(tally, seconds, clients.length, answers, (sending) => {
        tally.onReceived = goOn;
        tally.onAnswered = goOn;
        goOn();

        function goOn(): void {
          while (sending.on && tally.sent - completed() < window) {
            tally.sent++;
            sender.sendToGroup(group);
          }
          sending.check();
        }
      });
    },
  };

  /** How many messages reached everybody, as far as a count can tell, and were answered. */
  function completed(): number {
    const delivered = Math.floor(tally.delivered / clients.length);
    return answers ? Math.min(delivered, tally.confirmed) : delivered;
  }
}
