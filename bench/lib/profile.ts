import { readFileSync } from "node:fs";

/** A node of the call tree of a V8 CPU profile. */
interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
}

interface CpuProfile {
  nodes: ProfileNode[];
  samples: number[];
  timeDeltas: number[];
}

/** Lists the functions that a CPU profile found running most, and what each file took. */
export function summarise(file: string, top: number): string {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, "utf8")) as CpuProfile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const functions = new Map<string, number>();
  const files = new Map<string, number>();
  let total = 0;
  for (const [i, id] of samples.entries()) {
    const { callFrame } = byId.get(id) as ProfileNode;
    const us = timeDeltas[i] as number;
    if (callFrame.functionName === "(idle)" || callFrame.url === "node:inspector") continue;
    total += us;
    const where = shortName(callFrame.url);
    add(files, where || callFrame.functionName, us);
    add(functions, `${callFrame.functionName || "(anonymous)"} ${where}:${callFrame.lineNumber + 1}`, us);
  }
  return [
    `${(total / 1e6).toFixed(1)} s of CPU time; each share is of the time in the function or file itself`,
    "",
    ...largest(functions, total, top),
    "",
    ...largest(files, total, top / 2),
  ].join("\n");
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

function largest(sums: ReadonlyMap<string, number>, total: number, count: number): string[] {
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([name, us]) => `${((us / total) * 100).toFixed(1).padStart(5)} %  ${name}`);
}

/** Leaves out what all files of a project or package have in common. */
function shortName(url: string): string {
  return url.replace(/^.*\/node_modules\//, "").replace(/^file:\/\/.*\/(?=(?:src|gen|bench)\/)/, "");
}
