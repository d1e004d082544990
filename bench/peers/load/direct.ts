import type { Load } from "./load.ts";
import { openClients } from "./open.ts";
import type { Order } from "./orders.ts";
import { runUntilDone } from "./run.ts";
import { Tally } from "./tally.ts";

/** How many messages each user has under way. */
const window = 32;
/** How many others each user writes to: those who follow, in a circle. */
const partners = 5;

/**
 * Users write to each other. Each sends the next message as soon as one is
 * answered; where servers answer nothing, as soon as one is received, which
 * keeps as many under way.
 */
export async function openDirect(order: Order, answers: boolean): Promise<Load> {
  const tally = new Tally();
  const clients = await openClients(order, tally);
  const circle = Math.min(partners, clients.length - 1);
  const turns = clients.map(() => 0);

  return {
    tally,
    async run(seconds) {
      return await runUntilDone(tally, seconds, 1, answers, (sending) => {
        tally.onReceived = answers ? sending.check : goOn;
        tally.onAnswered = answers ? goOn : sending.check;
        for (const user of clients.keys()) goOn(user, window);

        function goOn(user: number, count: number): void {
          if (!sending.on) {
            sending.check();
            return;
          }
          for (let i = 0; i < count; i++) {
            const turn = (turns[user] as number)++;
            tally.sent++;
            clients[user]?.sendTo((user + 1 + (turn % circle)) % clients.length);
          }
        }
      });
    },
  };
}
