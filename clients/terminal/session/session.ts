import {
  type ClientEvent,
  OwnTyping,
  type ParlanceClient,
  type ParlanceError,
  type Target,
} from "../../typescript/index.ts";
import { emptyEditor } from "../input/editor.ts";
import { type Screen, screenOf } from "../screen/screen.ts";
import { conversationIdOf, newConversation } from "../state/conversations.ts";
import { applyEvent, nextStaleTyping, withoutStaleTyping } from "../state/events.ts";
import {
  type ChatState,
  changeConversation,
  emptyState,
  type Notice,
  openOf,
  type Size,
  without,
} from "../state/model.ts";
import { Store } from "../state/store.ts";
import { addEntry, loadingTimeline } from "../state/timeline.ts";
import { loadConversations, loadGroup, loadOlder } from "./loading.ts";
import { Outbox } from "./outbox.ts";
import { problemOf } from "./problems.ts";
import { Reading } from "./reading.ts";
import { Watching } from "./watching.ts";

/** The most lines that the first page keeps. */
const maxHomeLines = 200;

/** What is shown before anything else. */
const welcome = [
  "Welcome. Tab opens a conversation with unread messages, Ctrl-N the next in the list.",
  "/msg bob Hello writes to bob, /group team bob carol creates a group, /help lists the rest.",
].join("\n");

/**
 * One run of the chat: takes the client's events into the state, and does what
 * the user asks for.
 */
export class ChatSession {
  readonly store: Store;
  readonly client: ParlanceClient;
  readonly outbox: Outbox;
  readonly ownTyping: OwnTyping;
  readonly #reading: Reading;
  readonly #watching: Watching;
  /** Events that wait until what they build upon is loaded. */
  #held: ClientEvent[] | undefined = [];
  /** How many unsent messages the user was told of when they wanted to leave. */
  #warnedOf = 0;
  #typingTimer: ReturnType<typeof setTimeout> | undefined;
  #screen: { state: ChatState; screen: Screen } | undefined;
  readonly #done = Promise.withResolvers<void>();

  /** @param client a client that hands its events to `take` */
  constructor(client: ParlanceClient, address: string, size: Size) {
    this.client = client;
    this.store = new Store(emptyState(client.userId, address, client.state, size));
    this.outbox = new Outbox(client, this.store);
    this.ownTyping = new OwnTyping((target, typing) => client.setTyping(target, typing));
    this.#reading = new Reading(client, this.store);
    this.#watching = new Watching(client, this.store);
    this.show(welcome);
    client.onState((connection, error) => this.#onConnection(connection, error));
    this.store.subscribe(() => this.#onShown());
  }

  /** Resolves when the user leaves; rejects when the chat cannot go on. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** What is to be on the screen: the same object as long as nothing has changed. */
  readonly screen = (): Screen => {
    const state = this.store.shown();
    if (this.#screen?.state !== state) this.#screen = { state, screen: screenOf(state) };
    return this.#screen.screen;
  };

  /** Loads what there is, then lets events in. */
  async start(): Promise<void> {
    await loadConversations(this.client, this.store);
    this.#release();
  }

  /** Takes an event of the client. */
  take(event: ClientEvent): void {
    if (this.#held !== undefined) this.#held.push(event);
    else this.#apply(event);
  }

  /** Opens a conversation, which may be a new one. */
  open(target: Target): void {
    const id = conversationIdOf(target, this.store.state.userId);
    this.store.update((state) => {
      if (state.openId === id) return state;
      const former = openOf(state);
      const kept = former
        ? changeConversation(state, former.id, (each) => ({
            ...without(each, "newAfter"),
            draft: state.editor,
          }))
        : state;
      const opened = kept.conversations.get(id) ?? newConversation(id, target);
      const { draft = emptyEditor, ...rest } = opened;
      const conversation = rest.unread > 0 ? { ...rest, newAfter: rest.readSeq } : rest;
      return {
        ...kept,
        openId: id,
        conversations: new Map(kept.conversations).set(id, conversation),
        // A command that opens something is done with; what else is typed belongs where it was typed.
        editor: draft,
      };
    });
    this.#loadOpen();
  }

  /** Loads older messages of the open conversation. Returns how many came. */
  async older(count?: number): Promise<number> {
    const { openId } = this.store.state;
    return openId === undefined ? 0 : loadOlder(this.client, this.store, openId, count);
  }

  /** Reads a group's name and size anew. */
  refreshGroup(groupId: string): void {
    loadGroup(this.client, this.store, groupId).catch(() => {
      // The group is then shown by its id.
    });
  }

  /** Shows a line of the program's own where the user looks. */
  show(text: string, tone: "info" | "error" = "info"): void {
    this.store.update((state) => {
      const open = openOf(state);
      const seq = open?.timeline?.entries.at(-1)?.seq ?? open?.lastSeq ?? 0;
      const notice: Notice = { kind: "notice", seq, timeMs: Date.now(), text, tone };
      if (open === undefined) {
        return { ...without(state, "homeAnchor"), home: [...state.home, notice].slice(-maxHomeLines) };
      }
      return changeConversation(state, open.id, (former) => ({
        ...without(former, "anchor"),
        timeline: addEntry(former.timeline ?? { ...loadingTimeline(), older: "more" }, notice),
      }));
    });
  }

  /** Puts a word into the status line until the next key. */
  hint(text: string): void {
    this.store.update((state) => ({ ...state, hint: text }));
  }

  /** Ends the chat; asks first when messages are on their way. */
  quit(): void {
    const { unsent } = this.outbox;
    if (unsent <= this.#warnedOf) {
      this.#done.resolve();
      return;
    }
    this.#warnedOf = unsent;
    this.hint(`${unsent === 1 ? "a message is" : `${unsent} messages are`} not sent yet; again to leave`);
  }

  /** Ends the chat at once: with an error when it cannot go on, without when it was told to. */
  end(error?: unknown): void {
    if (error === undefined) this.#done.resolve();
    else this.#done.reject(error);
  }

  /** Lets go of timers and listeners. */
  close(): void {
    clearTimeout(this.#typingTimer);
    this.ownTyping.stop();
    this.store.close();
  }

  #onConnection(connection: ChatState["connection"], error?: ParlanceError): void {
    this.store.update((state) => ({
      ...without(state, "hint"),
      connection,
      // Who was there may have gone meanwhile; a new stream tells who is.
      presence: connection === "live" ? state.presence : new Map(),
    }));
    if (connection === "live") {
      void this.#reading.flush();
      this.#loadOpen();
    }
    if (connection === "closed") this.end(error);
  }

  #apply(event: ClientEvent): void {
    if (event.case === "behind" || event.case === "reset") {
      // The rest follows at once, and is loaded together.
      if (event.case === "behind" && event.value.more) return;
      this.#held = [];
      this.#reload();
      return;
    }
    this.store.update((state) => applyEvent(state, event, performance.now()));
    if (event.case === "membershipChanged") {
      const { conversationId, groupId } = event.value;
      const known = this.store.state.conversations.get(conversationId);
      if (known?.name === undefined && !known?.left) this.refreshGroup(groupId);
    }
    if (event.case === "typing") this.#armTyping();
  }

  /** Starts over after more was missed than the stream replays. Events wait meanwhile. */
  #reload(): void {
    loadConversations(this.client, this.store).then(
      () => this.#release(),
      (error: unknown) => {
        this.show(`what was missed cannot be read: ${problemOf(error)}`, "error");
        this.#release();
      },
    );
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.take(event);
    this.#loadOpen();
  }

  /** Loads the newest page of the open conversation, if it is not there or failed to come. */
  #loadOpen(): void {
    const open = openOf(this.store.state);
    if (open === undefined) return;
    if (open.timeline === undefined || open.timeline.older === "failed") void this.older();
  }

  /** Does what a new screen asks for. */
  #onShown(): void {
    this.#reading.check();
    this.#watching.check();
    const open = openOf(this.store.state);
    if (open?.timeline?.older === "more" && this.screen().atTop) void this.older();
  }

  #armTyping(): void {
    clearTimeout(this.#typingTimer);
    const next = nextStaleTyping(this.store.state);
    if (next === undefined) return;
    this.#typingTimer = setTimeout(
      () => {
        this.store.update((state) => withoutStaleTyping(state, performance.now()));
        this.#armTyping();
      },
      Math.max(1, next - performance.now()),
    );
  }
}
