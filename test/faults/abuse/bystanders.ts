import { setTimeout as delay } from "node:timers/promises";
import { connect, logIn } from "../../support/connect.ts";
import { eventually } from "../../support/eventually.ts";
import { text } from "../../support/server.ts";
import type { FaultContext } from "../context.ts";

/** How often a message is sent, in milliseconds. */
const everyMs = 20;
/** How long a message may be on its way before it counts as lost. */
const patienceMs = 10_000;

/** Two users who write to each other at their own pace, whatever others do. */
export interface Bystanders {
  /**
   * Sends messages for a while, at times that do not depend on answers, and waits for all of them.
   *
   * @returns how long each took from its due time until it was delivered, in milliseconds; the patience of 10 s for one
   *   that was not
   */
  measure: (forMs: number) => Promise<number[]>;
}

/** Opens a stream each for a sender and a reader. */
export async function openBystanders(context: FaultContext, address: string): Promise<Bystanders> {
  const tokens = await logIn(address, ["alice", "bob"]);
  const [alice, bob] = tokens.map((token) => {
    const connection = connect(address, token);
    context.defer(connection.close);
    return connection.stream();
  }) as [ReturnType<ReturnType<typeof connect>["stream"]>, ReturnType<ReturnType<typeof connect>["stream"]>];
  await Promise.all([alice.open(), bob.open({ autoAck: true })]);
  let sent = 0;

  return {
    async measure(forMs) {
      const first = sent;
      const dueMs: number[] = [];
      const times: number[] = [];
      const note = () => {
        for (const body of bob.texts().slice(first + times.length))
          times.push(performance.now() - (dueMs[Number(body) - first] as number));
      };
      const startMs = performance.now();
      while (performance.now() - startMs < forMs) {
        const due = startMs + dueMs.length * everyMs;
        dueMs.push(due);
        alice.send({
          case: "sendDirect",
          value: { recipientId: "bob", content: text(String(sent++)) } as never,
        });
        while (performance.now() < due + everyMs) {
          await delay(1);
          note();
        }
      }
      await eventually(() => {
        note();
        return times.length === dueMs.length;
      }, patienceMs).catch(() => {});
      return [...times, ...dueMs.slice(times.length).map(() => patienceMs)];
    },
  };
}
