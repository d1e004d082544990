/** How many reads of one user are carried out at a time; further ones wait for their turn. */
const atOncePerUser = 4;
/** How many are carried out at a time in all. */
const atOnce = 64;

/** The reads of one user. */
interface Reader {
  running: number;
  waiting: (() => void)[];
}

/** Lets users read in turn: who asks for much waits for themselves, not others for them. */
export class FairReads {
  readonly #readers = new Map<string, Reader>();
  /** Readers with something that waits, the one whose turn is next first. */
  readonly #turns = new Set<Reader>();
  #running = 0;

  /** How many users have reads that are not over. */
  get size(): number {
    return this.#readers.size;
  }

  /** Carries a read out when its turn has come. */
  async run<T>(userId: string, read: () => Promise<T>): Promise<T> {
    const reader = this.#readers.get(userId) ?? { running: 0, waiting: [] };
    this.#readers.set(userId, reader);
    if (!this.#mayRun(reader)) {
      const turn = new Promise<void>((resolve) => reader.waiting.push(resolve));
      this.#turns.add(reader);
      await turn;
    } else this.#begin(reader);
    try {
      return await read();
    } finally {
      this.#running--;
      reader.running--;
      if (reader.running === 0 && reader.waiting.length === 0) this.#readers.delete(userId);
      this.#next();
    }
  }

  #mayRun(reader: Reader): boolean {
    return reader.running < atOncePerUser && this.#running < atOnce;
  }

  #begin(reader: Reader): void {
    this.#running++;
    reader.running++;
  }

  /** Begins what may be begun, one read of each user in turn. */
  #next(): void {
    for (const reader of this.#turns) {
      if (this.#running >= atOnce) return;
      if (reader.running >= atOncePerUser) continue;
      this.#turns.delete(reader);
      this.#begin(reader);
      reader.waiting.shift()?.();
      if (reader.waiting.length > 0) this.#turns.add(reader);
    }
  }
}
