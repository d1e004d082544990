import type { Behind } from "../../../gen/parlance/chat/v1/event_pb.js";
import type { ClientEvent } from "../../typescript/events.ts";
import type { Calls } from "../client/calls.ts";
import { applyEvent } from "./apply-event.ts";
import { withSummary } from "./conversations.ts";
import { listConversations, listGroups } from "./lists.ts";
import type { ChatState, Conversation, GroupInfo } from "./model.ts";
import type { Store } from "./store.ts";

/** What a `Sync` needs and tells. */
export interface SyncOptions {
  store: Store<ChatState>;
  calls: Calls;
  /** An event is in the state now: what to acknowledge. */
  onTaken: (cursor: ClientEvent["cursor"]) => void;
  /** A group that nothing but its id is known of. */
  onUnknownGroup: (groupId: string) => void;
  /** The list of conversations has come, for the first time or again. */
  onListed: () => void;
  /** Histories were dropped, as there is more than was replayed. */
  onHistoryDropped: () => void;
  /** The list of conversations does not come. */
  onFailed: (error: unknown) => void;
}

/**
 * Keeps the state in step with the server: first the list of conversations and
 * groups, then the events. What comes while a list is fetched waits for it, so
 * that nothing is counted twice.
 */
export class Sync {
  readonly #options: SyncOptions;
  #held: ClientEvent[] | undefined = [];
  #listing: Promise<void> | undefined;

  constructor(options: SyncOptions) {
    this.#options = options;
  }

  /** Takes an event of the stream. */
  take(event: ClientEvent): void {
    if (this.#held !== undefined) this.#held.push(event);
    else this.#apply(event);
  }

  /** Fetches the lists, then takes what came meanwhile. Never rejects. */
  refresh(): Promise<void> {
    this.#held ??= [];
    this.#listing ??= this.#list()
      .then(
        () => {
          this.#options.onListed();
          this.#release();
        },
        (error: unknown) => this.#options.onFailed(error),
      )
      .finally(() => {
        this.#listing = undefined;
      });
    return this.#listing;
  }

  /** Fetches the lists again if that failed before. */
  retry(): void {
    if (this.#held !== undefined) void this.refresh();
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.take(event);
  }

  #apply(event: ClientEvent): void {
    const { store, onTaken, onUnknownGroup } = this.#options;
    if (event.case === "behind" || event.case === "reset") {
      this.#startOver(event.case === "behind" ? event.value : undefined, event.cursor);
      return;
    }
    store.update((state) => applyEvent(state, event));
    if (event.case === "message" && event.value.target.case === "groupId")
      if (!store.get().groups.has(event.value.target.value)) onUnknownGroup(event.value.target.value);
    if (event.case === "membershipChanged" && !store.get().groups.has(event.value.groupId)) {
      const entered = event.value.members.some(({ userId }) => userId === store.get().userId);
      if (entered && store.get().conversations.has(event.value.conversationId))
        onUnknownGroup(event.value.groupId);
    }
    onTaken(event.cursor);
  }

  /** Drops the histories that are incomplete now, and lists anew. */
  #startOver(behind: Behind | undefined, cursor: ClientEvent["cursor"]): void {
    const { store, onTaken, onHistoryDropped } = this.#options;
    store.update((state) => {
      const conversations = new Map(state.conversations);
      for (const [id, { timeline, ...rest }] of conversations) {
        if (behind !== undefined && behind.lastSeqs[id] === undefined) continue;
        conversations.set(id, behind === undefined ? { ...rest, lastSeq: 0, readSeq: 0 } : rest);
      }
      return { ...state, conversations };
    });
    // The rest follows at once; what it tells is listed together.
    if (behind?.more) return;
    void this.refresh().then(() => {
      onTaken(cursor);
      onHistoryDropped();
    });
  }

  async #list(): Promise<void> {
    const [conversations, groups] = await Promise.all([
      listConversations(this.#options.calls),
      listGroups(this.#options.calls),
    ]);
    this.#options.store.update((state) => {
      const merged = new Map<string, Conversation>(state.conversations);
      for (const wire of conversations)
        merged.set(wire.conversationId, withSummary(merged.get(wire.conversationId), wire));
      const known = new Map<string, GroupInfo>(state.groups);
      for (const group of groups) known.set(group.groupId, { role: 0, ...known.get(group.groupId), group });
      return { ...state, loaded: true, conversations: merged, groups: known };
    });
  }
}
