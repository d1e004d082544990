/** Runs tasks at the same time, except that those of one key run in the order in which they were given. */
export class InOrder {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs a task after all earlier ones that share a key with it. */
  run<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const own = new Set(keys);
    const earlier = [...own].flatMap((key) => this.#last.get(key) ?? []);
    const result = earlier.length === 0 ? task() : Promise.all(earlier).then(task);
    const ended = result.then(
      () => {},
      () => {},
    );
    for (const key of own) this.#last.set(key, ended);
    void ended.then(() => {
      for (const key of own) if (this.#last.get(key) === ended) this.#last.delete(key);
    });
    return result;
  }
}
