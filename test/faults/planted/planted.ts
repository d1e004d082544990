import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Row } from "../fault.ts";
import type { Bug, Edit } from "./bugs.ts";

/** What became of a planted bug. */
export interface PlantedRow {
  bug: string;
  /** The fault that met it and the rule it broke there, such as `kill-storm: I1`; null when nothing noticed. */
  caught_by: string | null;
  /** The first violation, in words. */
  how: string;
  seconds: number;
  /** How many runs of its faults it took. */
  runs: number;
  /** Whether its faults cannot run on this machine. */
  skipped?: true;
}

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** What a test build is made without: what is big and not made by people. */
const leftOut = new Set([".git", "node_modules", "dist", "data", "coverage", "faults-histories"]);
/** A bug may need luck: it is given this many runs, each with another seed. */
const tries = 3;
/** What has not arrived by then will not: without a bug it takes a second. */
const settleMs = 15_000;
/** Long, for machines that have other work too. */
const limitMs = 240_000;

/** A copy of the sources, to plant bugs in. */
export class TestBuild {
  readonly #directory = mkdtempSync(join(tmpdir(), "parlance-planted-"));

  constructor() {
    const parts = readdirSync(root).filter((name) => !leftOut.has(name));
    for (const part of parts) cpSync(join(root, part), join(this.#directory, part), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(this.#directory, "node_modules"));
    process.once("exit", () => this.close());
  }

  /**
   * Plants a bug, runs its faults until one of them notices, and takes the bug
   * out again.
   */
  async catch({ name, edits, faults }: Bug, seed: number): Promise<PlantedRow> {
    const startMs = performance.now();
    let runs = 0;
    const row = (caughtBy: string | null, how: string) => ({
      bug: name,
      caught_by: caughtBy,
      how,
      seconds: Math.round((performance.now() - startMs) / 100) / 10,
      runs,
    });
    const undo = edits.map((edit) => this.#edit(edit));
    try {
      for (let n = 0; n < tries; n++) {
        for (const fault of faults) {
          const { broken, skipped } = await this.run(fault, seed + n);
          runs++;
          if (skipped !== undefined)
            return { ...row(null, `${fault} cannot run: ${skipped}`), skipped: true };
          // That a fault did not come to its end proves nothing.
          const rulesBroken = broken.filter(({ rule }) => rule !== "run");
          const [first] = rulesBroken;
          if (first !== undefined) {
            const rules = [...new Set(rulesBroken.map(({ rule }) => rule))].join(", ");
            return row(`${fault}: ${rules}`, first.text.split("\n")[0] as string);
          }
        }
      }
      return row(null, "not noticed");
    } finally {
      // The last first: several edits may be of one file.
      for (const takeOut of undo.reverse()) takeOut();
    }
  }

  /** Runs one fault of the test build, in the small size. */
  async run(fault: string, seed: number): Promise<Row> {
    const scratch = mkdtempSync(join(tmpdir(), "parlance-fault-"));
    chmodSync(scratch, 0o755);
    const child = spawn(
      process.execPath,
      [
        ...["test/faults/main.ts", "one", fault, "--mode", "ci", "--seed", String(seed)],
        ...["--settle-ms", String(settleMs)],
      ],
      {
        cwd: this.#directory,
        stdio: ["ignore", "pipe", "ignore"],
        env: { ...process.env, TMPDIR: scratch },
        detached: true,
      },
    );
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    const endAll = () => {
      try {
        process.kill(-(child.pid as number), "SIGKILL");
      } catch {
        // Nobody is left.
      }
    };
    process.once("exit", endAll);
    const limit = setTimeout(endAll, limitMs);
    await new Promise((resolve) => child.once("close", resolve));
    clearTimeout(limit);
    endAll();
    process.off("exit", endAll);
    rmSync(scratch, { recursive: true, force: true });
    if (output !== "") return JSON.parse(output) as Row;
    const text = `${fault} ended without a report`;
    const none = { name: fault, id: "", title: "", rounds: 0, figure: "", seconds: limitMs / 1_000, seed };
    return { ...none, violations: 1, broken: [{ rule: "run", text }] };
  }

  /** Removes the copy. */
  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** @returns what takes the edit back */
  #edit({ file, find, replace }: Edit): () => void {
    const path = join(this.#directory, file);
    const text = readFileSync(path, "utf8");
    const places = text.split(find).length - 1;
    if (places !== 1) throw new Error(`${places} places in ${file} for a bug, not 1: ${find}`);
    writeFileSync(
      path,
      text.replace(find, () => replace),
    );
    return () => writeFileSync(path, text);
  }
}
