import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { postgresProgram } from "../../support/postgres.ts";
import type { SectionName } from "./sections.ts";

/** Describes this machine, with what a section's faults ran on. */
export function machineFor(section: SectionName): string {
  const parts =
    section === "cluster"
      ? [`PostgreSQL ${versionOf(postgresProgram ?? "postgres")}`, `NATS ${versionOf("nats-server")}`]
      : section === "planted"
        ? []
        : ["store sqlite"];
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  return [`Node ${process.versions.node}`, ...parts, `${cpus().length} cores`, memory].join(", ");
}

/** The version of a program, as it tells it; what is not there has none. */
function versionOf(command: string): string {
  try {
    return /\d+(\.\d+)+/.exec(execFileSync(command, ["--version"], { encoding: "utf8" }))?.[0] ?? "unknown";
  } catch {
    return "not there";
  }
}
