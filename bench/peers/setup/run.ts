import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** How long a step of the set-up may take: building a large program takes minutes. */
const stepMs = 15 * 60_000;

/** Where packages come from is nothing to publish. */
const addresses = /https?:\/\/\S+?(?=:?\s|$)/g;

/**
 * Runs a command of the set-up, out of the way of other work.
 *
 * @throws Error with the end of what it printed when it fails
 */
export async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  try {
    await execute("nice", ["-n", "15", command, ...args], {
      env: { ...process.env, NODE_OPTIONS: "", ...env },
      timeout: stepMs,
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (cause) {
    const { stderr = "", message } = cause as Error & { stderr?: string };
    const reason = (stderr.trim() || message).replaceAll(addresses, "…").slice(-300);
    throw new Error(`${command} ${args[0]} failed: ${reason}`, { cause });
  }
}

/** Returns what a command prints on both outputs, or undefined when there is no such command. */
export function outputOf(command: string, args: readonly string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return error === undefined ? stdout + stderr : undefined;
}
