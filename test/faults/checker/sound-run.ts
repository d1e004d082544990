import { directConversationId, groupConversationId } from "../../../wire/ids.ts";
import type { Dump, DumpEvent } from "../dump.ts";
import { type EntryInit, History, type Operation, type SeenError, type SeenEvent } from "../history.ts";

/** The epoch of every sound run. */
export const epoch = "epoch-1";

/** What a client sees of a connection that is lost. */
export const connectionLost: SeenError = { code: "UNAVAILABLE", reason: "", message: "Connection dropped" };

/** How an operation goes: `retried` has its effect at the first try, whose answer is lost. */
export type Way = "answered" | "retried";

interface ModelEvent extends DumpEvent {
  /** Who gets it. */
  readers: ReadonlySet<string>;
}

interface ModelClient {
  /** The number of its stream. */
  stream: number;
  open: boolean;
  /** The position up to which it has everything. */
  position: number;
  operations: number;
}

interface ModelGroup {
  members: Set<string>;
  historyForNewMembers: boolean;
}

/**
 * A service without faults, as simply as can be, and the histories of its
 * clients: what the checker has to find nothing in. It knows who gets an event
 * from the members at that moment, not from the log.
 */
export class SoundRun {
  readonly histories: History[] = [];
  readonly #log: ModelEvent[] = [];
  readonly #groups = new Map<string, ModelGroup>();
  readonly #clients = new Map<History, ModelClient>();

  /** What the store has. */
  get dump(): Dump {
    return { epoch, events: this.#log.map(({ readers: _, ...event }) => structuredClone(event)) };
  }

  /** Adds a client; an SDK client is open from the start. */
  client(kind: "raw" | "sdk", userId: string, deviceId = "default"): History {
    const history = new History(kind, userId, deviceId);
    this.histories.push(history);
    this.#clients.set(history, {
      stream: 0,
      open: kind === "sdk",
      position: this.#lastPosition,
      operations: 0,
    });
    if (kind === "sdk")
      note(history, { type: "opened", stream: 0, epoch: "", position: this.#lastPosition, resumed: false });
    return history;
  }

  /** Opens a stream of a raw client where it left off. */
  open(history: History): void {
    const client = this.#client(history);
    if (client.open) return;
    client.open = true;
    const stream = ++client.stream;
    note(history, { type: "opened", stream, epoch, position: client.position, resumed: stream > 1 });
  }

  /** Breaks the stream of a raw client. */
  cut(history: History): void {
    const client = this.#client(history);
    if (!client.open || history.kind === "sdk") return;
    client.open = false;
    note(history, { type: "end", stream: client.stream, error: connectionLost });
  }

  /** Opens a stream of a raw client that has missed too much: it goes on at the end of the log. */
  skip(history: History): void {
    if (history.kind === "sdk") return;
    this.cut(history);
    this.open(history);
    const client = this.#client(history);
    client.position = this.#lastPosition;
    note(history, { type: "behind", stream: client.stream, position: client.position });
  }

  /** Delivers at most so many of the events that wait for an open client; with the last comes `caught-up`. */
  deliver(history: History, count = Number.POSITIVE_INFINITY): void {
    const client = this.#client(history);
    if (!client.open) return;
    const waiting = this.#log.filter(
      ({ position, readers }) => position > client.position && readers.has(history.userId),
    );
    for (const event of waiting.slice(0, count)) {
      const seen = seenOf(event);
      note(
        history,
        history.kind === "sdk"
          ? { type: "shown", event: seen }
          : { type: "event", stream: client.stream, event: seen },
      );
      client.position = event.position;
    }
    if (count < waiting.length) return;
    client.position = this.#lastPosition;
    note(history, { type: "caught-up", stream: client.stream, position: client.position });
  }

  /** Opens and delivers everything to everyone. */
  finish(): void {
    for (const history of this.histories) {
      this.open(history);
      this.deliver(history);
    }
  }

  /** Carries out what a client asks for, or refuses it. */
  perform(history: History, operation: Operation, way: Way = "answered"): void {
    const op = ++this.#client(history).operations;
    note(history, { type: "invoke", op, operation });
    const done = this.#carryOut(history.userId, operation);
    if (way === "retried") note(history, { type: "unknown", op, error: connectionLost });
    if (done === undefined) {
      const error = { code: "PERMISSION_DENIED", reason: "NOT_A_MEMBER", message: "you are not a member" };
      note(history, { type: "fail", op, error });
    } else if (operation.f !== "send") note(history, { type: "ok", op });
    else {
      const { conversationId, seq, position, messageId = "" } = done;
      const duplicate = way === "retried";
      note(history, { type: "ok", op, conversationId, seq, position, messageId, duplicate });
    }
  }

  /** @returns the event it put into the log; undefined when it may not be */
  #carryOut(userId: string, operation: Operation): ModelEvent | undefined {
    if (operation.f === "send" && "recipientId" in operation.to) {
      const { recipientId } = operation.to;
      return this.#appendMessage(
        directConversationId(userId, recipientId),
        userId,
        [userId, recipientId],
        operation,
      );
    }
    const groupId =
      operation.f === "send" ? (operation.to as { groupId: string }).groupId : operation.groupId;
    const conversationId = groupConversationId(groupId);
    const group = this.#groups.get(groupId);
    if (operation.f === "create-group") {
      if (group !== undefined) return undefined;
      const members = new Set([userId, ...operation.memberIds]);
      this.#groups.set(groupId, { members, historyForNewMembers: groupId.endsWith("open") });
      this.#append({ conversationId, senderId: userId, kind: "groupChanged" }, members);
      return this.#change(conversationId, userId, "joined", [...members], 1, members);
    }
    if (group === undefined) return undefined;
    const { members, historyForNewMembers } = group;
    if (operation.f === "join") {
      if (members.has(userId)) return undefined;
      const visibleFromSeq = historyForNewMembers ? 1 : this.#nextSeq(conversationId);
      return this.#change(conversationId, userId, "joined", [userId], visibleFromSeq, members.add(userId));
    }
    if (!members.has(userId)) return undefined;
    switch (operation.f) {
      case "send":
        return this.#appendMessage(conversationId, userId, members, operation);
      case "add": {
        const added = operation.userIds.filter((id) => !members.has(id));
        if (added.length === 0) return undefined;
        for (const id of added) members.add(id);
        const visibleFromSeq = historyForNewMembers ? 1 : this.#nextSeq(conversationId);
        return this.#change(conversationId, userId, "joined", added, visibleFromSeq, members);
      }
      case "leave":
      case "remove": {
        const gone = "userIds" in operation ? operation.userIds : [userId];
        if (gone.some((id) => !members.has(id))) return undefined;
        const event = this.#change(conversationId, userId, "left", gone, 1, members);
        for (const id of gone) members.delete(id);
        return event;
      }
    }
  }

  #appendMessage(
    conversationId: string,
    senderId: string,
    readers: Iterable<string>,
    { clientMessageId, body }: Operation & { f: "send" },
  ): ModelEvent {
    const messageId = `id-${this.#log.length}`;
    return this.#append(
      { conversationId, senderId, kind: "message", messageId, clientMessageId, body },
      readers,
    );
  }

  #change(
    conversationId: string,
    senderId: string,
    type: "joined" | "left",
    userIds: string[],
    visibleFromSeq: number,
    readers: Iterable<string>,
  ): ModelEvent {
    const members = userIds.map((userId) => ({ userId, visibleFromSeq }));
    return this.#append(
      { conversationId, senderId, kind: "membershipChanged", change: { type, members } },
      readers,
    );
  }

  #append(event: Omit<DumpEvent, "seq" | "position">, readers: Iterable<string>): ModelEvent {
    const seq = this.#nextSeq(event.conversationId);
    // Positions rise, and need not be dense.
    const position = this.#lastPosition + 1 + (this.#log.length % 3);
    const appended = { ...event, seq, position, readers: new Set(readers) };
    this.#log.push(appended);
    return appended;
  }

  #nextSeq(conversationId: string): number {
    return this.#log.filter((event) => event.conversationId === conversationId).length + 1;
  }

  get #lastPosition(): number {
    return this.#log.at(-1)?.position ?? 0;
  }

  #client(history: History): ModelClient {
    return this.#clients.get(history) as ModelClient;
  }
}

/** What a client notes of an event. */
export function seenOf({ conversationId, seq, position, kind, ...message }: DumpEvent): SeenEvent {
  const place = { conversationId, seq, position, kind };
  if (kind !== "message") return place;
  const { messageId = "", senderId, clientMessageId = "", body = "" } = message;
  return { ...place, messageId, senderId, clientMessageId, body };
}

function note(history: History, entry: EntryInit): void {
  history.add(entry);
}
