import type { LogoutMessage } from "../bus/bus.ts";
import type { LogoutRecord } from "../model/records.ts";
import type { SessionStore } from "../store/ports/sessions.ts";
import { PacedLook } from "./paced-look.ts";

const pageLogouts = 100;

/**
 * Carries out every logout on this node once: as the bus tells of it, and
 * within a second from the store, which knows of those that the bus lost.
 */
export class Logouts {
  readonly #store: Pick<SessionStore, "readLogouts">;
  readonly #carryOut: (logout: LogoutRecord) => void;
  /** Every logout up to this id was carried out. */
  #through: number;
  /** Those above that were carried out too. */
  readonly #done = new Set<number>();
  readonly #look: PacedLook;

  /**
   * @param through the id of the last logout when the node began to listen
   * @param onError told when the store could not be asked; it is asked again
   */
  constructor(
    store: Pick<SessionStore, "readLogouts">,
    through: number,
    carryOut: (logout: LogoutRecord) => void,
    onError: (error: unknown) => void,
  ) {
    this.#store = store;
    this.#through = through;
    this.#carryOut = carryOut;
    this.#look = new PacedLook(async () => {
      const before = this.#through;
      await this.read().catch(onError);
      return this.#through > before;
    });
  }

  /** Has the store asked soon: there may be a logout. */
  doubt(): void {
    this.#look.ask();
  }

  /** Asks no more. */
  close(): void {
    this.#look.close();
  }

  /** Carries a logout out, unless that was done. */
  accept({ id, userId, deviceId }: LogoutMessage | LogoutRecord): void {
    if (id <= this.#through || this.#done.has(id)) return;
    this.#done.add(id);
    while (this.#done.delete(this.#through + 1)) this.#through++;
    this.#carryOut({ id, userId, deviceId });
  }

  /** Carries out what the store knows of. Called every second. */
  async read(): Promise<void> {
    for (;;) {
      const records = await this.#store.readLogouts(this.#through, pageLogouts);
      for (const record of records) this.accept(record);
      // Where older ones were forgotten, their ids are missing.
      const last = records.at(-1)?.id ?? 0;
      for (const id of this.#done) if (id <= last) this.#done.delete(id);
      this.#through = Math.max(this.#through, last);
      if (records.length < pageLogouts) return;
    }
  }
}
