import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { FaultContext } from "../context.ts";
import type { Attack, AttackReport } from "./attack.ts";

const program = fileURLToPath(new URL("attacker.ts", import.meta.url));

/** How long an attack may take to get going, in milliseconds. */
const goingMs = 10_000;

/** A process that attacks when told to. */
export interface Attacker {
  /** Has it make what it needs on the server, which runs by now. */
  prepare: () => Promise<void>;
  /** Has it attack. Resolves once the first of its requests was answered or refused. */
  begin: () => Promise<void>;
  /** Ends the attack and resolves with what it did. */
  end: () => Promise<AttackReport>;
}

/** Starts the process of an attack, which has to be told what to do. */
export function startAttacker(
  context: FaultContext,
  { name }: Attack,
  address: string,
  httpAddress: string,
): Attacker {
  const child = spawn(process.execPath, [program, name, address, httpAddress, String(context.seed)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  context.defer(() => void child.kill("SIGKILL"));
  // A process that has ended takes no more orders.
  child.stdin.on("error", () => {});
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  async function line(): Promise<string> {
    const { done, value } = await lines.next();
    if (done) throw new Error("the attacker's process ended too early");
    return value;
  }
  const tell = (order: string) => void child.stdin.write(`${order}\n`);
  let going: Promise<string> | undefined;
  return {
    async prepare() {
      tell("prepare");
      await line();
    },
    async begin() {
      tell("begin");
      going = line();
      await Promise.race([going, delay(goingMs)]);
    },
    async end() {
      tell("end");
      await going;
      return JSON.parse(await line()) as AttackReport;
    },
  };
}
