import { setTimeout as delay } from "node:timers/promises";
import {
  type BackoffOptions,
  connect,
  JoinPolicy,
  type ParlanceClient,
  ParlanceError,
  Status,
} from "../../../clients/typescript/index.ts";
import { History, type Operation, type SeenError } from "../history.ts";
import { type ChatClient, isOpen } from "./chat-client.ts";
import { seenEvent } from "./seen-event.ts";

/** How an SDK client is made. */
export interface SdkClientOptions {
  /** A server, or several nodes of one service. */
  address: string | readonly string[];
  userId: string;
  deviceId?: string;
  backoff?: BackoffOptions;
}

/** The longest a client tries to connect, or to have something answered: longer than any fault. */
const patienceMs = 120_000;

/** An application on the TypeScript SDK, of a user who is new to the server: its history has what the application was shown. */
export class SdkClient implements ChatClient {
  readonly history: History;
  readonly userId: string;
  readonly #options: SdkClientOptions;
  readonly #bodies = new Set<string>();
  #client: ParlanceClient | undefined;
  #operations = 0;
  #closed = false;

  constructor(options: SdkClientOptions) {
    this.#options = options;
    this.userId = options.userId;
    this.history = new History("sdk", options.userId, options.deviceId ?? "default");
  }

  get live(): boolean {
    return this.#client?.state === "live";
  }

  get reconnects(): number {
    return this.#client?.stats.reconnects ?? 0;
  }

  /** Events that came again and were held back from the application. */
  get repeats(): number {
    return this.#client?.stats.repeats ?? 0;
  }

  has(body: string): boolean {
    return this.#bodies.has(body);
  }

  async start(): Promise<void> {
    const { address, userId, deviceId = "default", backoff = { capMs: 1_000 } } = this.#options;
    // The user is new: everything of theirs is due.
    this.history.add({ type: "opened", stream: 0, epoch: "", position: 0, resumed: false });
    this.#client = await connect({
      address,
      credentials: { devUserId: userId },
      device: { deviceId },
      deadlineMs: patienceMs,
      connectTimeoutMs: patienceMs,
      backoff,
      replayLimit: 10_000,
      onEvent: (event) => {
        if (event.case === "reset") this.history.add({ type: "end", stream: 0, closed: "RESET" });
        if (event.case === "caughtUp")
          this.history.add({ type: "caught-up", stream: 0, position: Number(event.cursor?.position) });
        if (event.case === "reset") return;
        const seen = seenEvent({ event, cursor: event.cursor } as Parameters<typeof seenEvent>[0]);
        if (seen === undefined) return;
        this.history.add({ type: "shown", event: seen });
        if (seen.body !== undefined) this.#bodies.add(seen.body);
      },
    });
  }

  async perform(operation: Operation): Promise<boolean> {
    const op = ++this.#operations;
    this.history.add({ type: "invoke", op, operation });
    for (let tried = false; !this.#closed; ) {
      const { reconnects } = this;
      try {
        this.history.add({ type: "ok", op, ...(await this.#call(operation)) });
        return true;
      } catch (error) {
        const seen = seenErrorOf(error);
        // The SDK tries by itself: after a disturbance, nobody knows what its first tries did.
        if (this.reconnects !== reconnects) tried = true;
        if (this.#closed) return false;
        if (isOpen(seen) || tried) this.history.add({ type: "unknown", op, error: seen });
        if (!isOpen(seen)) {
          this.history.add({ type: "fail", op, error: seen });
          return false;
        }
        tried = true;
        await delay(100);
      }
    }
    return false;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#client?.close();
  }

  async #call(operation: Operation): Promise<object> {
    const client = this.#client as ParlanceClient;
    switch (operation.f) {
      case "send": {
        const { to, body, clientMessageId } = operation;
        const { conversationId, seq, position, messageId, duplicate } =
          "groupId" in to
            ? await client.sendGroup(to.groupId, body, { clientMessageId })
            : await client.sendDirect(to.recipientId, body, { clientMessageId });
        return { conversationId, seq: Number(seq), position: Number(position), messageId, duplicate };
      }
      case "create-group":
        await client.groups.createGroup({
          groupId: operation.groupId,
          memberIds: operation.memberIds,
          joinPolicy: JoinPolicy.OPEN,
        });
        return {};
      case "join":
        await client.groups.joinGroup({ groupId: operation.groupId });
        return {};
      case "leave":
        await client.groups.leaveGroup({ groupId: operation.groupId });
        return {};
      case "add":
        await client.groups.addMembers({ groupId: operation.groupId, userIds: operation.userIds });
        return {};
      case "remove":
        await client.groups.removeMembers({ groupId: operation.groupId, userIds: operation.userIds });
        return {};
    }
  }
}

function seenErrorOf(error: unknown): SeenError {
  if (!(error instanceof ParlanceError)) throw error;
  return { code: Status[error.code] as string, reason: error.reasonName, message: error.message };
}
