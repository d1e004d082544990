/** A real server on a free port with a store of its own, and real clients. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { type Channel, type Client, createChannel, createClient, Metadata } from "nice-grpc";
import {
  ChatService,
  type StreamRequest,
  type StreamRequestSchema,
  type StreamResponse,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ConversationService } from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import { MessageService } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { PresenceService } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { type Config, loadConfig } from "../../src/config.ts";
import { type RpcDefinition, toDefinition } from "../../src/rpc/definition.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

type ClientOf<Service extends DescService> = Client<RpcDefinition<Service>>;

/** Clients of all services that call as one user. */
export interface UserClients {
  userId: string;
  token: string;
  sessionId: string;
  chat: ClientOf<typeof ChatService>;
  groups: ClientOf<typeof GroupService>;
  conversations: ClientOf<typeof ConversationService>;
  messages: ClientOf<typeof MessageService>;
  presence: ClientOf<typeof PresenceService>;
  /** Opens a `Stream`; the first request is sent only when asked. */
  stream: () => TestStream;
}

/** A server under test. */
export interface TestServer {
  server: RunningServer;
  address: string;
  dataDir: string;
  /** What it has logged so far, one parsed object a line. */
  logs: Record<string, unknown>[];
  /** Logs a user in, on a device, and returns clients that send the token. */
  login: (userId: string, deviceId?: string) => Promise<UserClients>;
  /** Clients that send this metadata and nothing else. */
  as: (metadata: Record<string, string>) => Omit<UserClients, "userId" | "token" | "sessionId">;
  /** Closes the server and starts another on the same data and port. */
  restart: () => Promise<void>;
  close: () => Promise<void>;
}

/** Starts a server. Close it in the end; its data is deleted then. */
export async function startTestServer(overrides: Partial<Config> = {}): Promise<TestServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "parlance-test-"));
  const logs: Record<string, unknown>[] = [];
  const config: Config = {
    ...loadConfig({ env: {} }),
    dataDir,
    port: 0,
    drainGraceMs: 2_000,
    ...overrides,
  };
  const log = createLogger(config, { write: (line) => void logs.push(JSON.parse(line)) });
  let server = await startServer(config, log);
  const channels: Channel[] = [];

  function as(metadata: Record<string, string>): ReturnType<TestServer["as"]> {
    const channel = createChannel(server.address, undefined, { "grpc.use_local_subchannel_pool": 1 });
    channels.push(channel);
    const defaultCallOptions = { "*": { metadata: Metadata(metadata) } };
    const clientOf = <Service extends DescService>(service: Service) =>
      createClient(toDefinition(service), channel, defaultCallOptions) as ClientOf<Service>;
    const chat = clientOf(ChatService);
    return {
      chat,
      groups: clientOf(GroupService),
      conversations: clientOf(ConversationService),
      messages: clientOf(MessageService),
      presence: clientOf(PresenceService),
      stream: () => new TestStream((requests, signal) => chat.stream(requests, { signal })),
    };
  }

  return {
    get server() {
      return server;
    },
    get address() {
      return server.address;
    },
    dataDir,
    logs,
    as,
    async login(userId, deviceId) {
      const { chat } = as({});
      const { sessionToken, sessionId } = await chat.login({
        credential: { case: "devUserId", value: userId },
        ...(deviceId !== undefined && { device: { deviceId } }),
      });
      return { userId, token: sessionToken, sessionId, ...as({ authorization: `Bearer ${sessionToken}` }) };
    },
    async restart() {
      const { port } = server;
      await server.close();
      server = await startServer({ ...config, port }, log);
    },
    async close() {
      for (const channel of channels) channel.close();
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

type EventCase = NonNullable<ServerEvent["event"]["case"]>;
type EventOf<Case extends EventCase> = Extract<ServerEvent["event"], { case: Case }>["value"];

/** One `Stream` call: what was received so far, and ways to wait for more. */
export class TestStream {
  /** Every event received, in order. */
  readonly events: ServerEvent[] = [];
  /** Resolves when the stream ends: with undefined, or with the error it ended with. */
  readonly ended: Promise<unknown>;
  readonly #abort = new AbortController();
  readonly #requests: MessageInitShape<typeof StreamRequestSchema>[] = [];
  readonly #waiters = new Set<() => void>();
  #wakeSender: (() => void) | undefined;
  #halfClosed = false;
  #over = false;

  constructor(
    call: (
      requests: AsyncIterable<MessageInitShape<typeof StreamRequestSchema>>,
      signal: AbortSignal,
    ) => AsyncIterable<StreamResponse>,
  ) {
    this.ended = this.#read(call(this.#outgoing(), this.#abort.signal));
  }

  /** Sends a request. */
  send(
    request: StreamRequest["request"] | MessageInitShape<typeof StreamRequestSchema>["request"],
    requestId = "",
  ) {
    this.#requests.push({ requestId, request: request as NonNullable<typeof request> });
    this.#wakeSender?.();
    return this;
  }

  /** Sends `open` with these options and waits for the answer. */
  async open(open: object = {}): Promise<EventOf<"opened">> {
    this.send({ case: "open", value: open });
    return this.next("opened");
  }

  /** Says that no more requests come. */
  halfClose(): void {
    this.#halfClosed = true;
    this.#wakeSender?.();
  }

  /** Cancels the call, as a broken connection would. */
  cancel(): void {
    this.#abort.abort();
  }

  /** Waits for the first event of a kind, among those received and those to come, that fits. */
  async next<Case extends EventCase>(
    kind: Case,
    fits: (value: EventOf<Case>, event: ServerEvent) => boolean = () => true,
  ): Promise<EventOf<Case>> {
    const found = () =>
      this.events.find(
        ({ event }, i) =>
          event.case === kind && fits(event.value as EventOf<Case>, this.events[i] as ServerEvent),
      );
    await this.until(() => found() !== undefined, `an event ${kind}`);
    return found()?.event.value as EventOf<Case>;
  }

  /** The values of all events of a kind received so far. */
  all<Case extends EventCase>(kind: Case): EventOf<Case>[] {
    return this.events.flatMap(({ event }) => (event.case === kind ? [event.value as EventOf<Case>] : []));
  }

  /** The texts of all messages received so far. */
  texts(): string[] {
    return this.all("message").map(({ content }) =>
      content?.kind.case === "text" ? content.kind.value.body : "",
    );
  }

  /** Waits until something is true of what was received; fails after 10 s, or when the stream ends before. */
  async until(condition: () => boolean, what = "the condition"): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!condition()) {
      if (this.#over) throw new Error(`the stream ended before ${what}: ${await this.ended}`);
      if (Date.now() > deadline)
        throw new Error(`no ${what} within 10 s; received ${this.events.map(({ event }) => event.case)}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiters.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, 100);
        this.#waiters.add(wake);
      });
    }
  }

  async #read(responses: AsyncIterable<StreamResponse>): Promise<unknown> {
    try {
      for await (const { events } of responses) {
        this.events.push(...events);
        for (const wake of [...this.#waiters]) wake();
      }
      return undefined;
    } catch (error) {
      return error;
    } finally {
      this.#over = true;
      for (const wake of [...this.#waiters]) wake();
    }
  }

  async *#outgoing() {
    while (!this.#over) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#halfClosed) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeSender = resolve;
        });
    }
  }
}

/** Content that is text. */
export function text(body: string) {
  return { kind: { case: "text" as const, value: { body } } };
}

/** Waits until something is true; fails after `timeoutMs`. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not true within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
