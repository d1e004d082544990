/** One user who reads much. */

import { defaultUserRates } from "../../../../src/chat/rate-limits.ts";
import { logIn } from "../../../support/connect.ts";
import { text } from "../../../support/server.ts";
import type { Attack } from "../attack.ts";
import { Tally } from "../tally.ts";
import { inParallel } from "./in-parallel.ts";

const { maxReadsPerSecond } = defaultUserRates;
const attacker = "mallory";
const target = { case: "recipientId" as const, value: "trudy" };

const bigReads: Attack = {
  id: "D15",
  name: "big-reads",
  title: "one user reads pages of 200 texts of 16 KB, 20 at a time",
  // Pages of 1 MiB are large objects, which V8 collects late; what grows with the attack would be gigabytes.
  maxGrowthMb: 256,
  async prepare({ address, connect }) {
    const [token] = await logIn(address, [attacker]);
    const { chat } = connect(token);
    const content = text("x".repeat(16_000));
    await Promise.all(
      Array.from({ length: 200 }, () => chat.sendDirect({ recipientId: target.value, content })),
    );
  },
  async run(attack) {
    const tally = new Tally(attack);
    const [token] = await logIn(attack.address, [attacker]);
    const { messages } = attack.connect(token);
    await inParallel(20, attack, () =>
      tally.count(messages.listMessages({ target, pageSize: 200 }, { signal: attack.signal })),
    );
    return tally.report("reads", { atOnce: 10 * maxReadsPerSecond, perSecond: maxReadsPerSecond });
  },
};

/** One user who reads much. */
export const readAttacks: readonly Attack[] = [bigReads];
