import type { Target } from "../attack.ts";

/** Repeats something, so many at a time, until the attack is over. */
export async function inParallel(
  count: number,
  { signal }: Pick<Target, "signal">,
  once: (worker: number) => Promise<unknown>,
): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, worker) => {
      while (!signal.aborted) await once(worker);
    }),
  );
}
