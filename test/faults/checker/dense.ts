import { type Findings, nameOf } from "./findings.ts";
import type { LogIndex } from "./log-index.ts";

/** I3 Dense: positions rise, and the seqs of each conversation are 1, 2, 3, … in the order of position. */
export function checkDense({ events }: LogIndex, findings: Findings): void {
  const lastSeqs = new Map<string, number>();
  let lastPosition = 0;
  for (const event of events) {
    const { conversationId, seq, position } = event;
    if (position <= lastPosition)
      findings.add("I3", `${nameOf(event)} stands in the log after position ${lastPosition}`);
    const lastSeq = lastSeqs.get(conversationId) ?? 0;
    if (seq !== lastSeq + 1) findings.add("I3", `${nameOf(event)} stands in the log after seq ${lastSeq}`);
    lastSeqs.set(conversationId, seq);
    lastPosition = position;
  }
}
