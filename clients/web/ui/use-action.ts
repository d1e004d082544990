import { useState } from "react";
import { inWords } from "../state/words.ts";

/** What a form needs to carry something out. */
export interface Action {
  busy: boolean;
  /** Why it failed, in words; empty when it did not. */
  problem: string;
  /** Carries it out, unless it is under way already. */
  run: (work: () => Promise<void>) => Promise<void>;
}

/** Keeps whether something is under way, and what it failed with. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  return {
    busy,
    problem,
    async run(work) {
      if (busy) return;
      setBusy(true);
      setProblem("");
      try {
        await work();
      } catch (error) {
        setProblem(inWords(error));
      }
      setBusy(false);
    },
  };
}
