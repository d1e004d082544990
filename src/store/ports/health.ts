import type { ChatError } from "../../model/errors.ts";

/**
 * Why a process cannot go on with a store.
 *
 * - `replaced`: the store is another than the one that was opened. Its log was
 *   put back to an earlier state, as by the failover to a replica that lacked
 *   the last commits, so whatever the process knows of it may be wrong. It has
 *   to start anew.
 * - `outdated`: a later release writes events that this one would show to the
 *   wrong people.
 */
export type StoreEnding = "replaced" | "outdated";

/** Tells how the store itself is doing, and closes it. */
export interface StoreHealth {
  /**
   * Registers what to call when writes failed because the store cannot write,
   * as on a full disk, rather than because they were refused: once for those
   * that failed together. Must not throw.
   *
   * @returns what ends it
   */
  onWriteFailed(listener: (error: ChatError) => void): () => void;
  /**
   * Registers what to call, once, when this process cannot go on with the store;
   * everything asked of it fails then. Must not throw.
   *
   * @returns what ends it
   */
  onEnding(listener: (ending: StoreEnding) => void): () => void;
  /**
   * Tries whether the store can write: puts something of the size of a large
   * message on stable storage and takes it away again.
   *
   * @throws ChatError STORAGE_FULL, STORE_UNAVAILABLE when it cannot
   */
  probe(): Promise<void>;
  /** Waits for what is under way and closes. Later calls reject. */
  close(): Promise<void>;
}
