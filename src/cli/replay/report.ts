/** The report of a replay. The names are those of the JSON output. */
export interface ReplayReport {
  users: number;
  group_messages: number;
  direct_messages: number;
  deliveries_expected: number;
  deliveries_received: number;
  missing: number;
  duplicated: number;
  out_of_order: number;
  content_mismatches: number;
  elapsed_seconds: number;
  deliveries_per_second: number;
  /** From the send to its delivery to a user. */
  p50_ms: number;
  p99_ms: number;
}

/** Tells whether every delivery came, once, in order and as it was sent. */
export function isClean(report: ReplayReport): boolean {
  return report.missing + report.duplicated + report.out_of_order + report.content_mismatches === 0;
}

/** Writes a report as a table, one line a figure. */
export function formatReport(report: ReplayReport): string {
  const rows = Object.entries(report).map(([name, value]) => [
    name.replaceAll("_", " "),
    value.toLocaleString("en"),
  ]);
  const width = Math.max(...rows.map(([name]) => name?.length ?? 0));
  const valueWidth = Math.max(...rows.map(([, value]) => value?.length ?? 0));
  return rows
    .map(([name = "", value = ""]) => `${name.padEnd(width)}  ${value.padStart(valueWidth)}`)
    .join("\n");
}
