import { number } from "../lib/row.ts";
import type { Job } from "./load/orders.ts";

/** What was measured of a peer in one job. */
export interface PeerRow {
  peer: string;
  /** How it was run. */
  mode: string;
  job: Job;
  /** CPU time of the server per unit, in microseconds; null where there is none. */
  cpu_us: number | null;
  /** Units per second; null for idle sessions. */
  per_second: number | null;
  /** Whether the messages were kept. */
  durable: boolean;
  /** What a unit is: a delivery to one receiver, a message from one user to another, or a session. */
  unit: "delivery" | "message" | "session";
  /** How many users were connected. */
  users: number;
  /** How much of one core the server used. */
  cpu_percent?: number;
  /** How much more memory was resident per session. */
  kb_per_session?: number;
  version?: string;
  /** What differs from its defaults. */
  settings?: string;
  /** Why there are no figures. */
  reason?: string;
  date?: string;
  commit?: string;
  machine?: string;
}

const columns = [
  "peer",
  "mode",
  "durable",
  "job",
  "µs CPU",
  "per",
  "per second",
  "CPU %",
  "KB/session",
] as const;

/** Writes rows as a table for a terminal, and below it what could not be measured. */
export function peerTable(rows: readonly PeerRow[]): string {
  const lines = [columns, ...rows.filter(isMeasured).map(cells)];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  const table = lines.map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [...table, ...reasons(rows)].join("\n");
}

/** Writes the same in Markdown. */
export function peerMarkdown(rows: readonly PeerRow[]): string {
  const table = [columns, columns.map(() => "---"), ...rows.filter(isMeasured).map(cells)];
  const notes = reasons(rows).map((reason) => `\n${reason}`);
  return [...table.map((line) => `| ${line.join(" | ")} |`), ...notes].join("\n");
}

function isMeasured({ reason }: PeerRow): boolean {
  return reason === undefined;
}

function cells(row: PeerRow): string[] {
  const { peer, mode, durable, job, cpu_us, unit, per_second, cpu_percent, kb_per_session } = row;
  const figures = [figure(cpu_us), unit, figure(per_second), figure(cpu_percent), figure(kb_per_session)];
  return [peer, mode, durable ? "yes" : "no", job, ...figures];
}

/** Says once what is true of several jobs. */
function reasons(rows: readonly PeerRow[]): string[] {
  const jobsOf = new Map<string, string[]>();
  for (const { peer, mode, job, reason } of rows) {
    if (reason === undefined) continue;
    const key = `${peer}${mode === "" ? "" : ` (${mode})`}: ${reason}`;
    jobsOf.set(key, [...(jobsOf.get(key) ?? []), job]);
  }
  return [...jobsOf].map(([key, jobs]) => `No figures for ${jobs.join(", ")} of ${key}.`);
}

function figure(value: number | null | undefined): string {
  return value === null || value === undefined ? "" : number(value);
}
