import { defaultRatesEnv } from "../../support/rates.ts";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import type { Fault, Outcome } from "../fault.ts";
import { megabytes, ms, percentile } from "../figures.ts";
import { FaultServer } from "../server.ts";
import { peakMemory } from "../slow-readers.ts";
import type { Attack } from "./attack.ts";
import { startAttacker } from "./attacker-process.ts";
import { type Bystanders, openBystanders } from "./bystanders.ts";
import { Slowdown } from "./slowdown.ts";

/** What 99 of 100 messages of others may take while somebody attacks, in milliseconds. */
const maxP99Ms = 200;
/**
 * A machine that is busy with something else is slow without any attack. So the bound grows as the server and this
 * process have to wait for a processor, it is at least so many times what was measured in quiet, and what counts is the
 * best of so many windows of the attack.
 */
const maxSlowdown = 5;
const maxWindows = 3;
const defaultGrowthMb = 128;
/**
 * The heap of a machine with 512 MB. With more, V8 lets what is dead lie: the values of headers, which it makes among
 * the old objects, until it has several times as much of them as of what lives (490 MB by rapid reset on 24 GB).
 */
const smallHeap = ["--max-old-space-size=192", "--max-semi-space-size=16"];

/**
 * Makes a fault of an attack. One process attacks, while two others write to each other: first in quiet, then during the
 * attack. Their messages must keep coming, and the server's memory within its bound.
 */
export function abuseFault(attack: Attack): Fault {
  const { id, name, title } = attack;
  return {
    ...{ id, name, title },
    figureTitle: "p99 of another user's messages in quiet and meanwhile, memory, what the attacker got",
    ci: attack.ci ?? false,
    run: (context) => runAttack(context, attack),
  };
}

async function runAttack(context: FaultContext, attack: Attack): Promise<Outcome> {
  const httpPort = await context.freePort();
  // The limits of every day.
  const args = [...(attack.args ?? []), "--http-port", String(httpPort)];
  const server = new FaultServer(await context.freePort(), {
    args,
    env: defaultRatesEnv,
    nodeArgs: smallHeap,
  });
  context.defer(() => server.close());
  const attacker = startAttacker(context, attack, server.address, `127.0.0.1:${httpPort}`);
  await server.start();
  await attacker.prepare();
  const bystanders = await openBystanders(context, server.address);
  // What is done for the first time takes longer.
  await bystanders.measure(300);
  const quiet = percentile(await bystanders.measure(context.scale(500, 3_000)), 99);

  const beforeBytes = server.residentBytes();
  let best: Window | undefined;
  const peakBytes = await peakMemory(server, async () => {
    await attacker.begin();
    for (let n = 0; n < maxWindows && (best === undefined || best.p99 > best.bound); n++) {
      const window = await measureWindow(bystanders, server.pid, quiet, context.scale(1_200, 8_000));
      if (best === undefined || window.p99 / window.bound < best.p99 / best.bound) best = window;
    }
  });
  const { figure, problems } = await attacker.end();
  const { p99, bound } = best as unknown as Window;

  const violations: Violation[] = problems.map((text) => ({ rule: "I14", text }));
  if (p99 > bound) {
    const text = `p99 of another user was ${ms(p99)}, ${ms(quiet)} in quiet; at most ${ms(bound)} on this machine now`;
    violations.push({ rule: "I14", text });
  }
  const growth = peakBytes - beforeBytes;
  if (growth > (attack.maxGrowthMb ?? defaultGrowthMb) * 1_048_576)
    violations.push({ rule: "I11", text: `the server took ${megabytes(growth)} more` });
  if (!server.running) violations.push({ rule: "I15", text: "the server ended" });
  return {
    rounds: 1,
    violations,
    figure: `p99 of another user ${ms(quiet)} in quiet, ${ms(p99)} meanwhile; ${megabytes(Math.max(0, growth))} more memory; ${figure}`,
  };
}

/** What others saw during a part of an attack, in milliseconds. */
interface Window {
  p99: number;
  /** What it may be at most. */
  bound: number;
}

async function measureWindow(
  bystanders: Bystanders,
  serverPid: number,
  quiet: number,
  forMs: number,
): Promise<Window> {
  const slowdowns = [new Slowdown(serverPid), new Slowdown(process.pid)];
  const p99 = percentile(await bystanders.measure(forMs), 99);
  const factor = slowdowns.reduce((product, slowdown) => product * slowdown.factor, 1);
  return { p99, bound: Math.max(maxP99Ms * factor, maxSlowdown * quiet) };
}
