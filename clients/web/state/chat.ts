import type { Transport } from "@connectrpc/connect";
import { ChatService } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { changeOrAdd, conversationIdOf, withOpen } from "../../model/conversations.ts";
import { History } from "../../model/history.ts";
import { Outbox } from "../../model/outbox.ts";
import { Reading } from "../../model/reading.ts";
import { openOf } from "../../model/state.ts";
import { Store } from "../../model/store.ts";
import { Sync } from "../../model/sync.ts";
import type { ParlanceError } from "../../typescript/errors.ts";
import type { ClientEvent } from "../../typescript/events.ts";
import type { ClientState } from "../../typescript/live.ts";
import type { Login } from "../../typescript/login.ts";
import { OwnTyping } from "../../typescript/own-typing.ts";
import type { Target } from "../../typescript/sends.ts";
import { Calls } from "../client/calls.ts";
import { Listener } from "../client/listener.ts";
import { serverCalls } from "../client/server-calls.ts";
import { Drafts } from "./drafts.ts";
import { Groups } from "./groups.ts";
import { tab } from "./kept.ts";
import { KeptOutgoing } from "./kept-outgoing.ts";
import { emptyPage, type Link, type PageState } from "./page-state.ts";
import { PeerReads } from "./peer-reads.ts";
import { Presences } from "./presences.ts";
import { inWords } from "./words.ts";

const noticeMs = 6_000;
const openKey = "parlance.open";

/** The chat of a user who is signed in: what the page shows, and what can be done. */
export class Chat {
  readonly store: Store<PageState>;
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
  readonly #keptOutgoing: KeptOutgoing;
  readonly #peerReads: PeerReads;
  readonly #closing = new AbortController();
  #lastNotice = 0;

  constructor(transport: Transport, login: Login) {
    const userId = login.current?.userId ?? "";
    this.store = new Store(emptyPage(userId));
    this.#calls = new Calls(transport, login, this.#closing.signal);
    const server = serverCalls(
      this.#calls,
      this.#closing.signal,
      () => login.current?.limits?.maxContentBytes || Number.POSITIVE_INFINITY,
    );
    this.history = new History(this.store, server, inWords);
    this.outbox = new Outbox(this.store, server, inWords);
    this.groups = new Groups(this.store, this.#calls, server);
    this.reading = new Reading(this.store, server);
    this.drafts = new Drafts(userId);
    this.ownTyping = new OwnTyping((target, typing) => this.#tellTyping(target, typing));
    this.#keptOutgoing = new KeptOutgoing(this.store, this.outbox);
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
      calls: server,
      onTaken: ({ cursor }) => this.#onTaken(cursor),
      onListed: () => this.#onListed(),
      onFailed: (error) => this.notify(inWords(error)),
    });
  }

  /** Opens the stream, and what was open before a reload. */
  start(): void {
    this.#keptOutgoing.restore();
    this.#listener.start();
    this.#presences.start();
    window.addEventListener("online", this.#onOnline);
    window.addEventListener("offline", this.#onOffline);
    this.#sync.retry();
  }

  /** Ends everything; the page may be left. */
  async close(): Promise<void> {
    window.removeEventListener("online", this.#onOnline);
    window.removeEventListener("offline", this.#onOffline);
    this.#presences.stop();
    this.#sync.stop();
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
    this.store.update((state) => withOpen(state, id));
    this.#showOpen();
  }

  /** Shows the conversation with a user, whether or not there is one yet. */
  openDirect(peerId: string): void {
    const id = conversationIdOf({ recipientId: peerId }, this.store.get().userId);
    this.store.update((state) =>
      changeOrAdd(state, id, (conversation) => ({
        ...conversation,
        activityMs: conversation.activityMs || Date.now(),
      })),
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
    const open = openOf(this.store.get());
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
    this.store.update((state) => ({ ...this.#peerReads.restore(state), loaded: true }));
    const { openId, conversations } = this.store.get();
    const openBefore = tab.get(openKey);
    if (openId === undefined && openBefore !== null && conversations.has(openBefore)) this.open(openBefore);
    else this.#showOpen();
    void this.#presences.ask();
  }

  #onEvent(event: ClientEvent): void {
    this.#sync.take(event);
    const actor = actorOf(event);
    if (actor !== undefined && this.store.get().presence.get(actor)?.online === false)
      void this.#presences.ask();
  }

  #onTaken(cursor: ClientEvent["cursor"]): void {
    // A group that the user has left is not shown any more.
    if (openOf(this.store.get())?.left) this.open(undefined);
    this.#listener.ack(cursor);
  }

  #onState(state: ClientState, error?: ParlanceError): void {
    if (state === "closed") this.#setLink({ phase: "closed", error });
    if (state !== "live") return;
    this.#setLink({ phase: "live" });
    this.#sync.retry();
    void this.reading.flush();
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
