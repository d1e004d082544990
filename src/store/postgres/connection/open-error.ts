/** Says in one line why the store could not be opened. Never holds the password or the whole URL. */
export class StoreOpenError extends Error {
  override readonly name = "StoreOpenError";
  /** Whether the database did not answer, so that it may help to wait; otherwise something is wrong. */
  readonly notReachable: boolean;

  constructor(message: string, notReachable: boolean, options?: ErrorOptions) {
    super(message, options);
    this.notReachable = notReachable;
  }
}
