import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { FaultContext } from "../context.ts";
import type { Attack, AttackReport } from "./attack.ts";

const program = fileURLToPath(new URL("attacker.ts", import.meta.url));

/** A process that attacks when told to. */
export interface Attacker {
  begin: () => void;
  /** Ends the attack and resolves with what it did. */
  end: () => Promise<AttackReport>;
}

/** Starts the process of an attack, and resolves once it is prepared. */
export async function startAttacker(
  context: FaultContext,
  { name }: Attack,
  address: string,
  httpAddress: string,
): Promise<Attacker> {
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
  await line();
  return {
    begin: () => void child.stdin.write("begin\n"),
    async end() {
      child.stdin.write("end\n");
      return JSON.parse(await line()) as AttackReport;
    },
  };
}
