import { PresenceService } from "../../../gen/parlance/chat/v1/presence_service_pb.js";
import { listed } from "../../model/conversations.ts";
import { withPresences } from "../../model/presence.ts";
import { openOf } from "../../model/state.ts";
import type { Store } from "../../model/store.ts";
import { isTransport, ParlanceError } from "../../typescript/errors.ts";
import type { Calls } from "../client/calls.ts";
import type { PageState } from "./page-state.ts";

const everyMs = 10_000;
/** The most users one call may ask for. */
const maxUsers = 500;
/** How many of the conversations at the top of the list are asked for. */
const maxListed = 50;

/**
 * Asks now and then who is there, as `Listen` cannot watch. The question is also
 * the page's sign of life: without an answer the stream is given up.
 */
export class Presences {
  readonly #store: Store<PageState>;
  readonly #calls: Calls;
  readonly #onSilence: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #asking = false;
  /** Whether there are more to ask for than when the call under way was made. */
  #again = false;

  constructor(store: Store<PageState>, calls: Calls, onSilence: () => void) {
    this.#store = store;
    this.#calls = calls;
    this.#onSilence = onSilence;
  }

  /** Asks every ten seconds while the page is seen. */
  start(): void {
    this.#timer = setInterval(() => {
      if (document.visibilityState === "visible") void this.ask();
    }, everyMs);
    void this.ask();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Asks now. Never rejects. */
  async ask(): Promise<void> {
    const state = this.#store.get();
    this.#again = this.#asking;
    if (this.#asking || state.link.phase !== "live") return;
    this.#asking = true;
    try {
      const { presences } = await this.#calls.once(PresenceService.method.getPresence, {
        userIds: interesting(state),
      });
      this.#store.update((former) => withPresences(former, presences));
    } catch (error) {
      if (error instanceof ParlanceError && isTransport(error)) this.#onSilence();
    } finally {
      this.#asking = false;
    }
    if (this.#again) await this.ask();
  }
}

/** Whom the user sees: the members of the open group, and those at the top of the list. */
function interesting(state: PageState): string[] {
  const users = new Set<string>([state.userId]);
  const open = openOf(state);
  if (open !== undefined && "groupId" in open.target)
    for (const { userId } of state.groups.get(open.target.groupId)?.members ?? []) users.add(userId);
  for (const { target } of [...(open ? [open] : []), ...listed(state).slice(0, maxListed)])
    if ("recipientId" in target) users.add(target.recipientId);
  return [...users].slice(0, maxUsers);
}
