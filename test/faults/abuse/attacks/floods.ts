/** One user who asks for the same again and again, as fast as it goes. */

import { v7 as uuidv7 } from "uuid";
import { logIn } from "../../../support/connect.ts";
import { text } from "../../../support/server.ts";
import type { Attack, Target } from "../attack.ts";
import { Tally } from "../tally.ts";

const attacker = "mallory";

const sendFlood: Attack = {
  id: "D1",
  name: "send-flood",
  title: "one user sends direct messages, 200 calls at a time over two connections",
  async run(target) {
    const tally = new Tally(target);
    const [token] = await logIn(target.address, [attacker]);
    const connections = [target.connect(token), target.connect(token)];
    await inParallel(200, target, (n) =>
      tally.count(
        (connections[n % 2] as (typeof connections)[0]).chat.sendDirect(
          { recipientId: "nobody", content: text("x"), clientMessageId: uuidv7() },
          { signal: target.signal },
        ),
      ),
    );
    return tally.report("sends");
  },
};

/** Repeats something, so many at a time, until the attack is over. */
async function inParallel(
  count: number,
  { signal }: Target,
  once: (n: number) => Promise<unknown>,
): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      while (!signal.aborted) await once(n);
    }),
  );
}

/** One user who asks for the same again and again, as fast as it goes. */
export const floodAttacks: readonly Attack[] = [sendFlood];
