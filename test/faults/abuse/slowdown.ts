import { existsSync, readFileSync } from "node:fs";

/**
 * Tells how much slower a process is than it would be with a processor for itself: the time it ran and the time it could
 * have run but others did, by the system's books. 2 is half as fast.
 */
export class Slowdown {
  readonly #path: string;
  readonly #before: readonly [ranNs: number, waitedNs: number];

  /** Begins to measure. @param pid the process, of which the first thread counts */
  constructor(pid: number) {
    this.#path = `/proc/${pid}/schedstat`;
    this.#before = this.#read();
  }

  /** How much slower it was since then; 1 where the system keeps no such books. */
  get factor(): number {
    const [ranNs, waitedNs] = this.#read().map((ns, i) => ns - (this.#before[i] as number)) as [
      number,
      number,
    ];
    return ranNs === 0 ? 1 : (ranNs + waitedNs) / ranNs;
  }

  #read(): readonly [number, number] {
    if (!existsSync(this.#path)) return [0, 0];
    const [ranNs = 0, waitedNs = 0] = readFileSync(this.#path, "utf8").split(" ").map(Number);
    return [ranNs, waitedNs];
  }
}
