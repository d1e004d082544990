/** Tells one store from another. */
export interface StoreIdentity {
  /** Names this incarnation of the store; see `Cursor.epoch`. */
  readonly epoch: string;
  /** A random 32-bit number made with the store and kept for ever; part of message ids. */
  readonly salt: number;
}
