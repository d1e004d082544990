/**
 * Values by number, for those that come and go thousands of times a second.
 *
 * A Map that is used so makes itself a new table all the time, and V8 has each
 * old table point to the one after it. Once one of them is among the old
 * objects, all later ones, with the values in them, survive the quick garbage
 * collections until the next full one. Numbered properties make no such chain.
 */
export class IdTable<Value> {
  readonly #values: Record<number, Value> = Object.create(null);
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  get(id: number): Value | undefined {
    return this.#values[id];
  }

  set(id: number, value: Value): this {
    if (!(id in this.#values)) this.#size++;
    this.#values[id] = value;
    return this;
  }

  /** Returns whether it was there. */
  delete(id: number): boolean {
    if (!(id in this.#values)) return false;
    delete this.#values[id];
    this.#size--;
    return true;
  }

  /** The numbers, the smallest first. */
  ids(): number[] {
    return Object.keys(this.#values).map(Number);
  }

  /** Calls back for each that was there in the beginning and still is, from the smallest number on. */
  forEach(callback: (value: Value, id: number) => void): void {
    for (const id of this.ids()) if (id in this.#values) callback(this.#values[id] as Value, id);
  }
}
