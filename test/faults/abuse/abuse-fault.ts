import { setTimeout as delay } from "node:timers/promises";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import type { Fault, Outcome } from "../fault.ts";
import { megabytes, ms, percentile } from "../figures.ts";
import { peakMemory } from "../slow-readers.ts";
import type { Attack } from "./attack.ts";
import { startAttacker } from "./attacker-process.ts";
import { openBystanders } from "./bystanders.ts";

/** What 99 of 100 messages of others may take while somebody attacks, in milliseconds. */
const maxP99Ms = 200;
/** A machine that is busy with something else is slow without any attack: so much slower is the attack's doing. */
const maxSlowdown = 5;
const defaultGrowthMb = 128;

/**
 * Makes a fault of an attack. One process attacks, while two others write to each other: first in quiet, then during the
 * attack. Their messages must keep coming, and the server's memory within its bound.
 */
export function abuseFault(attack: Attack): Fault {
  const { id, name, title } = attack;
  return {
    ...{ id, name, title },
    figureTitle: "p99 of another user's messages in quiet and meanwhile, memory, what the attacker got",
    ci: true,
    run: (context) => runAttack(context, attack),
  };
}

async function runAttack(context: FaultContext, attack: Attack): Promise<Outcome> {
  const httpPort = await context.freePort();
  const server = await context.serve({ args: [...(attack.args ?? []), "--http-port", String(httpPort)] });
  const attacker = await startAttacker(context, attack, server.address, `127.0.0.1:${httpPort}`);
  const bystanders = await openBystanders(context, server.address);
  // What is done for the first time takes longer.
  await bystanders.measure(300);
  const quiet = percentile(await bystanders.measure(context.scale(700, 3_000)), 99);

  const beforeBytes = server.residentBytes();
  let meanwhile = 0;
  const peakBytes = await peakMemory(server, async () => {
    attacker.begin();
    // Attacks take a moment to get going.
    await delay(200);
    meanwhile = percentile(await bystanders.measure(context.scale(2_000, 10_000)), 99);
  });
  const { figure, problems } = await attacker.end();

  const violations: Violation[] = problems.map((text) => ({ rule: "I14", text }));
  if (meanwhile > maxP99Ms && meanwhile > maxSlowdown * quiet)
    violations.push({ rule: "I14", text: `p99 of another user was ${ms(meanwhile)}, ${ms(quiet)} in quiet` });
  const growth = peakBytes - beforeBytes;
  if (growth > (attack.maxGrowthMb ?? defaultGrowthMb) * 1_048_576)
    violations.push({ rule: "I11", text: `the server took ${megabytes(growth)} more` });
  if (!server.running) violations.push({ rule: "I15", text: "the server ended" });
  return {
    rounds: 1,
    violations,
    figure: `p99 of another user ${ms(quiet)} in quiet, ${ms(meanwhile)} meanwhile; ${megabytes(Math.max(0, growth))} more memory; ${figure}`,
  };
}
