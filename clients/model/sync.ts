import type { ClientEvent } from "../typescript/events.ts";
import { applyEvent } from "./apply-event.ts";
import { begunAnew } from "./conversations.ts";
import { ownMembership } from "./groups.ts";
import { loadGroup, loadLists } from "./lists.ts";
import type { ServerCalls } from "./server-calls.ts";
import type { ChatStore } from "./store.ts";
import { TypingExpiry } from "./typing-expiry.ts";

/** How long after the lists did not come they are asked for again, in milliseconds. */
const retryMs = 5_000;

/** Options of a `Sync`: what it works with, and whom it tells. */
export interface SyncOptions {
  store: ChatStore;
  calls: ServerCalls;
  /** An event is in the state now: what to acknowledge. */
  onTaken: (event: ClientEvent) => void;
  /** The lists have come, for the first time or again. A history that misses events now is dropped. */
  onListed: () => void;
  /** The lists do not come; they are asked for again, and nothing is said of it if that fails too. */
  onFailed: (error: unknown) => void;
}

/**
 * Keeps the state in step with the server: first the lists of conversations and
 * groups, then the events. What comes while a list is fetched waits for it, so
 * that nothing is counted twice.
 */
export class Sync {
  readonly #options: SyncOptions;
  readonly #typing: TypingExpiry;
  #held: ClientEvent[] | undefined = [];
  #listing: Promise<void> | undefined;
  #stopped = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Has told that there is more than was replayed, and is taken once the lists have come. */
  #startedOver: ClientEvent | undefined;

  constructor(options: SyncOptions) {
    this.#options = options;
    this.#typing = new TypingExpiry(options.store);
  }

  /** Takes an event of the stream. */
  take(event: ClientEvent): void {
    if (this.#held !== undefined) this.#held.push(event);
    else this.#apply(event);
  }

  /** Fetches the lists, then takes what came meanwhile. */
  start(): Promise<void> {
    this.#held ??= [];
    this.#listing ??= this.#list();
    return this.#listing;
  }

  /** Fetches the lists again if that failed before. */
  retry(): void {
    if (this.#held === undefined) return;
    const isFirst = this.#retry === undefined;
    clearTimeout(this.#retry);
    this.start().catch((error: unknown) => {
      if (this.#stopped) return;
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.retry(), retryMs);
      if (isFirst) this.#options.onFailed(error);
    });
  }

  /** Asks for nothing any more, and leaves no timer behind. */
  stop(): void {
    this.#stopped = true;
    this.#typing.stop();
    clearTimeout(this.#retry);
  }

  async #list(): Promise<void> {
    try {
      await loadLists(this.#options.calls, this.#options.store);
    } finally {
      // What waits may ask for another list.
      this.#listing = undefined;
    }
    this.#onListed();
  }

  #onListed(): void {
    const held = this.#held ?? [];
    const startedOver = this.#startedOver;
    this.#held = undefined;
    this.#startedOver = undefined;
    this.#retry = undefined;
    this.#options.onListed();
    if (startedOver !== undefined) this.#options.onTaken(startedOver);
    for (const event of held) this.take(event);
  }

  #apply(event: ClientEvent): void {
    const { store, onTaken } = this.#options;
    if (event.case === "behind" || event.case === "reset") {
      this.#startOver(event);
      return;
    }
    store.update((state) => applyEvent(state, event, performance.now()));
    if (event.case === "typing") this.#typing.arm();
    const groupId = this.#groupToLoad(event);
    if (groupId !== undefined)
      loadGroup(this.#options.calls, store, groupId).catch(() => {
        // The group is then shown by its id.
      });
    onTaken(event);
  }

  /** Returns the group of an event of which more has to be known. */
  #groupToLoad({ case: name, value }: ClientEvent): string | undefined {
    const { userId, groups } = this.#options.store.get();
    switch (name) {
      case "message":
        return value.target.case === "groupId" && !groups.has(value.target.value)
          ? value.target.value
          : undefined;
      case "membershipChanged":
        // What it was before may have changed while the user was no member.
        return ownMembership(value, userId) === "began" ? value.groupId : undefined;
      default:
        return undefined;
    }
  }

  /** Lists anew, as there is more than was replayed, or another log. */
  #startOver(event: ClientEvent & { case: "behind" | "reset" }): void {
    if (event.case === "reset")
      this.#options.store.update((state) => ({
        ...state,
        conversations: new Map([...state.conversations].map(([id, former]) => [id, begunAnew(former)])),
      }));
    // The rest follows at once; what it tells is listed together.
    if (event.case === "behind" && event.value.more) return;
    this.#startedOver = event;
    this.#held = [];
    this.retry();
  }
}
