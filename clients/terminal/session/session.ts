import { conversationIdOf, withConversation, withOpen } from "../../model/conversations.ts";
import { History } from "../../model/history.ts";
import { Outbox } from "../../model/outbox.ts";
import { Reading } from "../../model/reading.ts";
import { openOf, without } from "../../model/state.ts";
import { Store } from "../../model/store.ts";
import { Sync } from "../../model/sync.ts";
import {
  type ClientEvent,
  OwnTyping,
  type ParlanceClient,
  type ParlanceError,
  type Target,
} from "../../typescript/index.ts";
import { emptyEditor } from "../input/editor.ts";
import { type Screen, screenOf } from "../screen/screen.ts";
import { Frames } from "../state/frames.ts";
import { anchorOf } from "../state/shown.ts";
import {
  changePane,
  emptyState,
  type Line,
  paneOf,
  type Size,
  type TerminalState,
  unsentOf,
} from "../state/terminal-state.ts";
import { problemOf } from "./problems.ts";
import { serverCalls } from "./server-calls.ts";
import { Watching } from "./watching.ts";

/** The most lines of the program that are kept in one place. */
const maxLines = 200;

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
  readonly store: Store<TerminalState>;
  readonly frames: Frames<TerminalState>;
  readonly client: ParlanceClient;
  readonly outbox: Outbox;
  readonly ownTyping: OwnTyping;
  readonly #sync: Sync;
  readonly #history: History;
  readonly #reading: Reading;
  readonly #watching: Watching;
  /** How many unsent messages the user was told of when they wanted to leave. */
  #warnedOf = 0;
  #screen: { state: TerminalState; screen: Screen } | undefined;
  readonly #done = Promise.withResolvers<void>();

  /** @param client a client that hands its events to `take` */
  constructor(client: ParlanceClient, address: string, size: Size) {
    this.client = client;
    this.store = new Store(emptyState(client.userId, address, client.state, size));
    this.frames = new Frames(this.store);
    const calls = serverCalls(client);
    this.outbox = new Outbox(this.store, calls, problemOf);
    this.ownTyping = new OwnTyping((target, typing) => client.setTyping(target, typing));
    this.#sync = new Sync({
      store: this.store,
      calls,
      onTaken: ({ case: name }) => {
        // Of a group one comes back to, the history is begun anew.
        if (name === "membershipChanged") this.#loadOpen();
      },
      onListed: () => this.#loadOpen(),
      onFailed: (error) => this.show(`what was missed cannot be read: ${problemOf(error)}`, "error"),
    });
    this.#history = new History(this.store, calls, problemOf);
    this.#reading = new Reading(this.store, calls);
    this.#watching = new Watching(client, this.store);
    this.show(welcome);
    client.onState((connection, error) => this.#onConnection(connection, error));
    this.frames.subscribe(() => this.#onShown());
  }

  /** Resolves when the user leaves; rejects when the chat cannot go on. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** What is to be on the screen: the same object as long as nothing has changed. */
  readonly screen = (): Screen => {
    const state = this.frames.shown();
    if (this.#screen?.state !== state) this.#screen = { state, screen: screenOf(state) };
    return this.#screen.screen;
  };

  /** Loads what there is, then lets events in. */
  start(): Promise<void> {
    return this.#sync.start();
  }

  /** Takes an event of the client. */
  take(event: ClientEvent): void {
    this.#sync.take(event);
  }

  /** Opens a conversation, which may be a new one. */
  open(target: Target): void {
    const id = conversationIdOf(target, this.store.get().userId);
    this.store.update((state) => {
      const { openId, editor } = state;
      if (openId === id) return state;
      const kept =
        openId === undefined ? state : changePane(state, openId, (pane) => ({ ...pane, draft: editor }));
      // A command that opens something is done with; what else is typed belongs where it was typed.
      const { draft = emptyEditor } = paneOf(kept, id);
      const next = changePane(kept, id, (pane) => without(pane, "draft"));
      return { ...withOpen(withConversation(next, id), id), editor: draft };
    });
    this.#loadOpen();
  }

  /** Loads older messages of the open conversation. Returns how many came. */
  async older(count?: number): Promise<number> {
    const { openId } = this.store.get();
    return openId === undefined ? 0 : this.#history.loadOlder(openId, count);
  }

  /** How many messages are on their way. */
  get unsent(): number {
    return unsentOf(this.store.get());
  }

  /** Shows a line of the program's own where the user looks. */
  show(text: string, tone: "info" | "error" = "info"): void {
    this.store.update((state) => {
      const open = openOf(state);
      const seq = open?.timeline?.entries.at(-1)?.seq ?? open?.lastSeq ?? 0;
      const line: Line = { kind: "line", seq, timeMs: Date.now(), text, tone };
      return changePane(state, state.openId, (pane) => ({
        ...without(pane, "anchor"),
        lines: [...pane.lines, line].slice(-maxLines),
      }));
    });
  }

  /** Puts a word into the status line until the next key. */
  hint(text: string): void {
    this.store.update((state) => ({ ...state, hint: text }));
  }

  /** Ends the chat; asks first when messages are on their way. */
  quit(): void {
    const { unsent } = this;
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
    this.#sync.stop();
    this.ownTyping.stop();
    this.frames.close();
  }

  #onConnection(connection: TerminalState["connection"], error?: ParlanceError): void {
    this.store.update((state) => ({
      ...without(state, "hint"),
      connection,
      // Who was there may have gone meanwhile; a new stream tells who is.
      presence: connection === "live" ? state.presence : new Map(),
    }));
    if (connection === "live") {
      this.#sync.retry();
      void this.#reading.flush();
      this.#loadOpen();
    }
    if (connection === "closed") this.end(error);
  }

  /** Loads the newest page of the open conversation, if it is not there or failed to come. */
  #loadOpen(): void {
    const { openId } = this.store.get();
    if (openId !== undefined) void this.#history.open(openId);
  }

  /** Does what a new screen asks for. */
  #onShown(): void {
    const state = this.store.get();
    const open = openOf(state);
    if (open !== undefined && !open.left && anchorOf(state) === undefined) this.#reading.markRead(open.id);
    this.#watching.check();
    if (open?.timeline?.older === "more" && this.screen().atTop) void this.older();
  }
}
