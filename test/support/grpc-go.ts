/** A real client of grpc-go, which sends and ends calls in its own way. */

import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const folder = fileURLToPath(new URL("grpc-go", import.meta.url));
const run = promisify(execFile);

/** The calls of one connection: first some with a large message, one by one, then many with an empty one at once. */
export interface GoCalls {
  address: string;
  /** Such as `/parlance.chat.v1.ChatService/SendDirect`. */
  method: string;
  token?: string;
  large: number;
  /** The bytes of a large message. */
  size: number;
  small: number;
}

/** The program, built. */
export interface GoClient {
  /** Makes the calls and returns how each ended, as grpc-go names it, such as `OK`. */
  call(calls: GoCalls): Promise<string[]>;
  remove(): void;
}

/**
 * Tells whether the client can be built. Where it cannot, says why; with `CI`
 * set that is a failure, so that nothing is left out unseen.
 */
export function goIsThere(): boolean {
  if (spawnSync("go", ["version"]).status === 0) return true;
  const reason = "go is not installed; tests with a client of grpc-go need it (https://go.dev/dl)";
  if (process.env["CI"]) throw new Error(reason);
  process.stderr.write(`skipped: ${reason}\n`);
  return false;
}

/** Builds the client: within seconds where Go has done so before, otherwise in a minute or two. */
export async function buildGoClient(): Promise<GoClient> {
  const output = mkdtempSync(join(tmpdir(), "parlance-grpc-go-"));
  const program = join(output, "grpc-go");
  await run("go", ["build", "-o", program, "."], { cwd: folder });
  return {
    async call({ address, method, token = "", large, size, small }) {
      const values = { address, method, token, large, size, small };
      const args = Object.entries(values).map(([name, value]) => `-${name}=${value}`);
      const { stdout } = await run(program, args);
      return stdout.trimEnd().split("\n");
    },
    remove: () => rmSync(output, { recursive: true, force: true }),
  };
}
