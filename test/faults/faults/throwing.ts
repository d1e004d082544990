/** Faults in which code of the server throws what nobody foresaw. */

import { setTimeout as delay } from "node:timers/promises";
import { connect, logIn } from "../../support/connect.ts";
import { failureOf } from "../../support/errors.ts";
import type { Violation } from "../checker/violation.ts";
import type { Fault } from "../fault.ts";

/** What a caller is told of an error that nobody foresaw. */
const unforeseen = /^unexpected error of the server; its log has the cause under ([0-9a-f-]{36})$/;
/** Hits of the fail point that go well, so that everybody gets in. */
const calmHits = 500;

/** One request in twenty meets a bug. */
export const throwingHandler: Fault = {
  id: "P8",
  name: "throwing-handler",
  title: "a handler throws at 5 % of all requests",
  figureTitle: "errors with an id that the log has, restarts, streams that were touched",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve({
      failPoints: `handler=throw@${calmHits}+%5`,
      env: { PARLANCE_TEST_SEED: String(context.seed) },
    });
    const [token = ""] = await logIn(server.address, ["prober"]);
    const storm = await context.storm({ address: server.address });
    await delay(context.scale(4_000, 25_000));

    // One error with all its details.
    const { conversations, close } = connect(server.address, token);
    for (let tries = 0; ; tries++) {
      const failure = await failureOf((options) => conversations.listConversations({}, options)).catch(
        () => undefined,
      );
      if (failure !== undefined) {
        const errorId = unforeseen.exec(failure.message)?.[1];
        if (failure.code !== "INTERNAL" || errorId === undefined || failure.metadata["error_id"] !== errorId)
          violations.push({ rule: "I14", text: `the error says ${JSON.stringify(failure)}` });
        break;
      }
      if (tries === 2_000) {
        violations.push({ rule: "run", text: "no handler threw" });
        break;
      }
    }
    close();
    await storm.stop();
    const streams = storm.reconnects;
    if (streams > 0) violations.push({ rule: "I12", text: `${streams} streams were opened again` });
    violations.push(...(await context.conclude(server, { allowInternal: true })));

    let errors = 0;
    for (const { client, entries } of storm.histories) {
      for (const entry of entries) {
        if (!("error" in entry) || entry.error?.code !== "INTERNAL") continue;
        errors++;
        const errorId = unforeseen.exec(entry.error.message)?.[1];
        if (errorId === undefined || !server.log.includes(`"errorId":"${errorId}"`))
          violations.push({ rule: "I14", text: `${client} got INTERNAL: ${entry.error.message}` });
      }
    }
    const restarts = server.exits.length - 1;
    return {
      rounds: errors,
      violations,
      figure: `${errors} INTERNAL, each with an id that the log has; ${restarts} restarts; ${streams} streams touched; ${storm.acknowledged} messages answered in the end`,
    };
  },
};
