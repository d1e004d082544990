import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { postgresProgram } from "../support/postgres.ts";
import type { Row } from "./fault.ts";

const page = "docs/reliability.md";
const startMark = "<!-- report -->";
const endMark = "<!-- /report -->";

/** Puts the report of a whole run into docs/reliability.md, in place of the one before. */
export function writeReport(rows: readonly Row[]): void {
  write(reportOf(rows, "store sqlite"), startMark, endMark);
}

/** Does the same with the faults of several nodes. */
export function writeClusterReport(rows: readonly Row[]): void {
  const parts = `PostgreSQL ${versionOf(postgresProgram ?? "postgres")}, NATS ${versionOf("nats-server")}`;
  write(reportOf(rows, parts), "<!-- cluster-report -->", "<!-- /cluster-report -->");
}

function write(report: string, from: string, to: string): void {
  const text = readFileSync(page, "utf8");
  const [before, rest] = split(text, from);
  const [, after] = split(rest, to);
  writeFileSync(page, `${before}${from}\n\n${report}\n${to}${after}`);
}

/** The version of a program, as it tells it. */
function versionOf(command: string): string {
  return /\d+(\.\d+)+/.exec(execFileSync(command, ["--version"], { encoding: "utf8" }))?.[0] ?? "unknown";
}

function reportOf(rows: readonly Row[], parts: string): string {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const minutes = Math.round(rows.reduce((sum, { seconds }) => sum + seconds, 0) / 60);
  const header = `${new Date().toISOString().slice(0, 10)}, commit ${commit}, Node ${process.versions.node}, ${parts}, ${cpus().length} cores, seed ${rows[0]?.seed}; ${minutes} minutes.`;
  const lines = rows.map(
    ({ id, name, title, rounds, violations, figure, seconds, skipped }) =>
      `| ${[id, `\`${name}\``, title, skipped === undefined ? rounds : "not run", skipped === undefined ? violations : "", (skipped ?? figure).replaceAll("|", "\\|"), seconds].join(" | ")} |`,
  );
  return `${header}\n\n| # | fault | what is done | rounds | violations | figure | s |\n| --- | --- | --- | --: | --: | --- | --: |\n${lines.join("\n")}\n`;
}

function split(text: string, mark: string): [before: string, after: string] {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`${page} has no ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
