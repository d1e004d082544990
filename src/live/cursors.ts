import { LRUCache } from "lru-cache";
import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { toNumber } from "../model/numbers.ts";
import type { DeviceStore } from "../store/ports/devices.ts";
import type { StoreIdentity } from "../store/ports/identity.ts";
import type { LogStore } from "../store/ports/log.ts";

/** The most devices whose cursor is kept in memory. */
const maxCached = 100_000;

/**
 * Keeps the cursors of devices: at once in memory, and in the store when
 * `flush` is called, once a second. A crash between the two makes the server
 * deliver again what was acknowledged, and never loses anything.
 */
export class Cursors {
  readonly #store: StoreIdentity & LogStore & DeviceStore;
  readonly #seen: () => number;
  readonly #maxDevices: number;
  readonly #known = new LRUCache<string, number>({ max: maxCached });
  /** The cursors that the store does not have yet. */
  #dirty = new Map<string, { userId: string; deviceId: string; position: number }>();

  /**
   * @param seen returns a position that the log has surely reached
   * @param maxDevices the most devices of a user, 0 for no limit
   */
  constructor(store: StoreIdentity & LogStore & DeviceStore, seen: () => number, maxDevices: number) {
    this.#store = store;
    this.#seen = seen;
    this.#maxDevices = maxDevices;
  }

  /** Notes where a device is, as the store has it, and returns where it really is. */
  load(userId: string, deviceId: string, stored: number | undefined): number | undefined {
    const key = keyOf(userId, deviceId);
    const known = this.#dirty.get(key)?.position ?? this.#known.get(key);
    const position = stored === undefined ? known : Math.max(stored, known ?? 0);
    if (position !== undefined) this.#known.set(key, position);
    return position;
  }

  /**
   * Moves a device's cursor to one that a client named. One behind the
   * device's changes nothing.
   *
   * @returns where the device is now
   * @throws ChatError CURSOR_OF_ANOTHER_EPOCH, CURSOR_IN_FUTURE
   */
  async ack(caller: Caller, cursor: Cursor): Promise<number> {
    const position = await this.check(cursor);
    const known = this.#known.get(keyOf(caller.userId, caller.deviceId)) ?? (await this.#read(caller)) ?? 0;
    if (position <= known) return known;
    this.raise(caller, position);
    return position;
  }

  /** Moves a device's cursor to a position it surely got. */
  raise({ userId, deviceId }: Caller, position: number): void {
    const key = keyOf(userId, deviceId);
    if (position <= (this.#known.get(key) ?? 0)) return;
    this.#known.set(key, position);
    this.#dirty.set(key, { userId, deviceId, position });
  }

  /**
   * Returns the position of a cursor that a client named.
   *
   * @throws ChatError CURSOR_OF_ANOTHER_EPOCH, CURSOR_IN_FUTURE
   */
  async check(cursor: Cursor): Promise<number> {
    if (cursor.epoch !== this.#store.epoch) {
      throw new ChatError(
        ErrorReason.CURSOR_OF_ANOTHER_EPOCH,
        "the cursor is of another epoch of the log; open without resume_from and read what is missing from the history",
        { metadata: { epoch: this.#store.epoch } },
      );
    }
    const position = toNumber(cursor.position);
    if (position <= this.#seen()) return position;
    const last = await this.#store.lastPosition();
    if (position > last) {
      throw new ChatError(
        ErrorReason.CURSOR_IN_FUTURE,
        `the cursor is ahead of the log, which ends at ${last}`,
        {
          metadata: { last_position: String(last) },
        },
      );
    }
    return position;
  }

  /** Writes what changed to the store. */
  async flush(): Promise<void> {
    if (this.#dirty.size === 0) return;
    const entries = this.#dirty;
    this.#dirty = new Map();
    try {
      await this.#store.saveCursors([...entries.values()]);
    } catch (error) {
      for (const [key, entry] of entries) if (!this.#dirty.has(key)) this.#dirty.set(key, entry);
      throw error;
    }
  }

  async #read({ userId, deviceId, platform }: Caller): Promise<number | undefined> {
    const device = await this.#store.openDevice(userId, deviceId, platform, "", this.#maxDevices);
    return this.load(userId, deviceId, device.position);
  }
}

function keyOf(userId: string, deviceId: string): string {
  // Neither id has control characters.
  return `${userId}\n${deviceId}`;
}
