/**
 * The store keeps everything that outlives a process: the logs, groups and
 * their members, devices and their cursors, sessions.
 *
 * Rules every implementation keeps, tested by `test/contracts/store.ts`:
 *
 * - A promise of a method that writes resolves once the write is on stable
 *   storage. Writes of one caller, issued one after another without waiting,
 *   take effect in that order.
 * - Per conversation, `seq` is 1, 2, 3, … without gaps. Over the whole log,
 *   `position` is 1, 2, 3, … without gaps too; within one conversation both
 *   orders agree.
 * - Events become visible in the order of position, whoever appends them: who
 *   sees one sees all below it, so a cursor never steps over an event that
 *   comes later.
 * - What a write depends on (membership, role, mute, heads) is read in the
 *   same transaction, so no answer rests on a state that was already gone.
 * - A write that is refused rejects with a `ChatError` and changes nothing;
 *   STORAGE_FULL is such a refusal too. After any other rejection, and after
 *   STORE_UNAVAILABLE, the outcome is unknown.
 *
 * Several processes may share one store where the implementation says so. What
 * one of them wrote the others find in `readTail` and `readLogouts`.
 */

import type { CatchUpStore } from "./ports/catch-up.ts";
import type { ChangeStore } from "./ports/changes.ts";
import type { ConversationStore } from "./ports/conversations.ts";
import type { DeviceStore } from "./ports/devices.ts";
import type { GroupStore } from "./ports/groups.ts";
import type { StoreHealth } from "./ports/health.ts";
import type { StoreIdentity } from "./ports/identity.ts";
import type { LogStore } from "./ports/log.ts";
import type { SessionStore } from "./ports/sessions.ts";
import type { UserStore } from "./ports/users.ts";

/** Keeps everything that outlives a process. Whoever needs a part of it asks for that port alone. */
export interface Store
  extends StoreIdentity,
    LogStore,
    ChangeStore,
    CatchUpStore,
    ConversationStore,
    GroupStore,
    DeviceStore,
    SessionStore,
    UserStore,
    StoreHealth {}
