import type { Transport } from "@connectrpc/connect";
import { ChatService } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { directConversationId } from "../../../wire/ids.ts";
import type { ParlanceError } from "../../typescript/errors.ts";
import type { ClientEvent } from "../../typescript/events.ts";
import type { ClientState } from "../../typescript/live.ts";
import type { Login } from "../../typescript/login.ts";
import { OwnTyping } from "../../typescript/own-typing.ts";
import type { Target } from "../../typescript/sends.ts";
import { Calls } from "../client/calls.ts";
import { Listener } from "../client/listener.ts";
import { newConversation } from "./conversations.ts";
import { Drafts } from "./drafts.ts";
import { Groups } from "./groups.ts";
import { History } from "./history.ts";
import { tab } from "./kept.ts";
import { type ChatState, changeConversation, emptyState, type Link } from "./model.ts";
import { Outbox } from "./outbox.ts";
import { PeerReads } from "./peer-reads.ts";
import { Presences } from "./presences.ts";
import { Reading } from "./reading.ts";
import { Store } from "./store.ts";
import { Sync } from "./sync.ts";
import { TypingExpiry } from "./typing-expiry.ts";
import { inWords } from "./words.ts";

const noticeMs = 6_000;
const openKey = "parlance.open";

/** The chat of a user who is signed in: what the page shows, and what can be done. */
export class Chat {
  readonly store: Store<ChatState>;
  readonly history: History;
  readonly outbox: Outbox;
  readonly groups: Groups;
  readonly reading: Reading;
  readonly drafts: Drafts;
  readonly ownTyping: OwnTyping;

  readonly #calls: Calls;
  readonly #listener: Listener;
  readonly #sync: Sync;
  readonly #presences: Presences;
  readonly #typing: TypingExpiry;
  readonly #peerReads: PeerReads;
  readonly #closing = new AbortController();
  #lastNotice = 0;

  constructor(transport: Transport, login: Login) {
    const userId = login.current?.userId ?? "";
    this.store = new Store(emptyState(userId));
    this.#calls = new Calls(transport, login, this.#closing.signal);
    this.history = new History(this.store, this.#calls);
    this.outbox = new Outbox(
      this.store,
      this.#calls,
      this.#closing.signal,
      () => login.current?.limits?.maxContentBytes || Number.POSITIVE_INFINITY,
    );
    this.groups = new Groups(this.store, this.#calls);
    this.reading = new Reading(this.store, this.#calls);
    this.drafts = new Drafts(userId);
    this.ownTyping = new OwnTyping((target, typing) => this.#tellTyping(target, typing));
    this.#typing = new TypingExpiry(this.store);
    this.#peerReads = new PeerReads(this.store);
    this.#listener = new Listener({
      transport,
      login,
      calls: this.#calls,
      onEvent: (event) => this.#onEvent(event),
      onState: (state, error) => this.#onState(state, error),
      onWait: (waitMs) => this.#setLink({ phase: "waiting", retryAtMs: Date.now() + waitMs }),
    });
    this.#presences = new Presences(this.store, this.#calls, () => this.#listener.suspect());
    this.#sync = new Sync({
      store: this.store,
      calls: this.#calls,
      onTaken: (cursor) => this.#listener.ack(cursor),
      onUnknownGroup: (groupId) => void this.groups.load(groupId).catch(() => {}),
      onListed: () => this.#onListed(),
      onHistoryDropped: () => this.#showOpen(),
      onFailed: (error) => this.notify(inWords(error)),
    });
  }

  /** Opens the stream, and what was open before a reload. */
  start(): void {
    this.outbox.restore();
    this.#listener.start();
    this.#presences.start();
    window.addEventListener("online", this.#onOnline);
    window.addEventListener("offline", this.#onOffline);
    void this.#sync.refresh();
  }

  /** Ends everything; the page may be left. */
  async close(): Promise<void> {
    window.removeEventListener("online", this.#onOnline);
    window.removeEventListener("offline", this.#onOffline);
    this.#presences.stop();
    this.#typing.stop();
    this.ownTyping.stop();
    await this.#listener.close();
    this.#closing.abort();
  }

  /** Ends the session on the server, as far as that can be reached. Never rejects. */
  async logOut(): Promise<void> {
    tab.remove(openKey);
    await this.#calls.once(ChatService.method.logout, {}).catch(() => {});
    await this.close();
  }

  /** Shows a conversation, or none. */
  open(id: string | undefined): void {
    if (id === undefined) tab.remove(openKey);
    else tab.set(openKey, id);
    this.store.update((state) => {
      const left = state.openId === id ? state : closeOpen(state);
      const next = id === undefined || state.openId === id ? left : markUnread(left, id);
      return { ...next, openId: id };
    });
    this.#showOpen();
  }

  /** Shows the conversation with a user, whether or not there is one yet. */
  openDirect(peerId: string): void {
    const id = directConversationId(this.store.get().userId, peerId);
    this.store.update((state) =>
      state.conversations.has(id)
        ? state
        : {
            ...state,
            conversations: new Map(state.conversations).set(id, {
              ...newConversation(id, { recipientId: peerId }),
              activityMs: Date.now(),
            }),
          },
    );
    this.open(id);
  }

  /** Shows a short message that goes away by itself. */
  notify(text: string): void {
    const id = ++this.#lastNotice;
    this.store.update((state) => ({ ...state, notices: [...state.notices, { id, text }] }));
    setTimeout(() => this.dismiss(id), noticeMs);
  }

  /** Takes a short message away. */
  dismiss(id: number): void {
    this.store.update((state) => ({ ...state, notices: state.notices.filter((notice) => notice.id !== id) }));
  }

  /** Tries at once to reach the server. */
  retryNow(): void {
    this.#listener.retryNow();
    this.#sync.retry();
  }

  readonly #onOnline = () => {
    if (this.store.get().link.phase === "offline") this.#setLink({ phase: "connecting" });
    this.retryNow();
  };

  readonly #onOffline = () => {
    this.#listener.suspect();
    this.#setLink({ phase: "offline" });
  };

  /** Loads what the open conversation shows. */
  #showOpen(): void {
    const { openId, conversations } = this.store.get();
    const open = openId === undefined ? undefined : conversations.get(openId);
    if (open === undefined) return;
    void this.history.open(open.id);
    void this.#presences.ask();
    if (!("groupId" in open.target)) return;
    const { groupId } = open.target;
    Promise.all([this.groups.load(groupId), this.groups.loadMembers(groupId)]).then(
      () => this.#presences.ask(),
      (error: unknown) => this.notify(inWords(error)),
    );
  }

  /** Tells others that the user types, if they can be reached. */
  #tellTyping(target: Target, typing: boolean): void {
    const where =
      "groupId" in target
        ? ({ case: "groupId", value: target.groupId } as const)
        : ({ case: "recipientId", value: target.recipientId } as const);
    this.#calls.once(ChatService.method.setTyping, { target: where, typing }).catch(() => {});
  }

  #onListed(): void {
    this.store.update((state) => this.#peerReads.restore(state));
    const { openId, conversations } = this.store.get();
    const openBefore = tab.get(openKey);
    if (openId === undefined && openBefore !== null && conversations.has(openBefore)) this.open(openBefore);
    void this.#presences.ask();
  }

  #onEvent(event: ClientEvent): void {
    if (event.case === "typing") this.#typing.take(event.value);
    this.#sync.take(event);
    const actor = actorOf(event);
    if (actor !== undefined && this.store.get().presence.get(actor)?.online === false)
      void this.#presences.ask();
  }

  #onState(state: ClientState, error?: ParlanceError): void {
    if (state === "closed") this.#setLink({ phase: "closed", error });
    if (state !== "live") return;
    this.#setLink({ phase: "live" });
    this.#sync.retry();
    this.reading.flush();
    void this.#presences.ask();
  }

  #setLink(link: Link): void {
    // The browser knows better why there is no stream.
    const offline = !navigator.onLine && link.phase === "waiting";
    this.store.update((state) => ({ ...state, link: offline ? { phase: "offline" } : link }));
  }
}

/** Returns who has just done something, and so is there. */
function actorOf(event: ClientEvent): string | undefined {
  if (event.case === "message") return event.value.senderId;
  return event.case === "typing" || event.case === "receipt" ? event.value.userId : undefined;
}

function markUnread(state: ChatState, id: string): ChatState {
  return changeConversation(state, id, (conversation) =>
    conversation.unread > 0 ? { ...conversation, unreadFrom: conversation.readSeq + 1 } : conversation,
  );
}

function closeOpen(state: ChatState): ChatState {
  if (state.openId === undefined) return state;
  return changeConversation(state, state.openId, ({ unreadFrom, ...conversation }) => conversation);
}
