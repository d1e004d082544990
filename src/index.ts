/**
 * Parlance inside another service: build the chat on a store, a bus and a
 * verifier, mount its services beside the host's own, and call it in process.
 *
 * ```ts
 * import { createParlance, text } from "parlance";
 *
 * const parlance = await createParlance({ store: "./data/chat.db", auth: "dev" });
 * const server = createServer(parlance.serverOptions);
 * parlance.mount(server);
 * server.add(MyServiceDefinition, myService);
 * await server.listen("127.0.0.1:50051");
 * await parlance.chat.sendDirect("shop", { recipientId: "alice", content: text("Your parcel is on its way") });
 *
 * // In the end:
 * await parlance.shutdown(server);
 * ```
 *
 * `examples/microservice.ts` is a whole program.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Server } from "nice-grpc";
import type {
  SendDirectRequestSchema,
  SendGroupRequestSchema,
} from "../gen/parlance/chat/v1/chat_service_pb.js";
import type { ContentSchema } from "../gen/parlance/chat/v1/content_pb.js";
import type { SendResult } from "../gen/parlance/chat/v1/message_pb.js";
import { isUserId, userIdRule } from "../wire/user-id.ts";
import { checkVerifier } from "./auth/checked-verifier.ts";
import { createDevVerifier } from "./auth/dev.ts";
import { createJwtVerifier, type JwtOptions } from "./auth/jwt.ts";
import type { TokenVerifier } from "./auth/verifier.ts";
import type { Bus } from "./bus/bus.ts";
import { createLocalBus } from "./bus/local.ts";
import type { Chat } from "./chat/chat.ts";
import type { ChatLimits } from "./chat/limits.ts";
import { settings } from "./config/settings.ts";
import { createBus, createStore } from "./host/backends.ts";
import { assemble } from "./host/parlance.ts";
import type { Caller } from "./model/caller.ts";
import { ChatError, ErrorReason } from "./model/errors.ts";
import type { Logger } from "./model/logger.ts";
import { createCallHandles } from "./net/call-handles.ts";
import { type AddressSettings, CallerAddresses } from "./net/caller-address.ts";
import { createConnectHandler } from "./rpc/connect/connect-handler.ts";
import { guarded } from "./rpc/connect/guard.ts";
import { type GrpcServerSettings, grpcServerOptions } from "./rpc/grpc/grpc-options.ts";
import { shutDownWithin } from "./rpc/grpc/grpc-server.ts";
import { createInProcess, type InProcessServices } from "./rpc/in-process.ts";
import type { RequestValidator } from "./rpc/validation.ts";
import { createSqliteStore } from "./store/sqlite/sqlite-store.ts";
import type { Store } from "./store/store.ts";

export { type Group, JoinPolicy, type Member, Role } from "../gen/parlance/chat/v1/group_pb.js";
export type { SendResult } from "../gen/parlance/chat/v1/message_pb.js";
export { chatServices } from "../wire/services.ts";
export type { Credential, Identity, TokenVerifier } from "./auth/verifier.ts";
export type { Bus, BusMessage } from "./bus/bus.ts";
export type { ChatLimits } from "./chat/limits.ts";
export { type Config, ConfigError, loadConfig } from "./config/config.ts";
export { type RunningServer, startServer } from "./host/server.ts";
export { ChatError, ErrorReason } from "./model/errors.ts";
export type { Logger } from "./model/logger.ts";
export type { AddressSettings } from "./net/caller-address.ts";
export { statusOf } from "./net/errors.ts";
export type { GrpcServerSettings } from "./rpc/grpc/grpc-options.ts";
export { createHealth } from "./rpc/health.ts";
export type { InProcessService, InProcessServices } from "./rpc/in-process.ts";
export { createReflection } from "./rpc/reflection.ts";
export type { Store } from "./store/store.ts";
export { createLogger } from "./telemetry/logger.ts";
export { createDevVerifier, createJwtVerifier, createLocalBus, createSqliteStore, type JwtOptions };

/** How to build a chat inside another service. */
export interface ParlanceOptions {
  /**
   * Where it keeps everything: the path of an SQLite file, made if need be, or a
   * store, which stays the host's to close. Either this or `databaseUrl`.
   */
  store?: string | Store;
  /** The PostgreSQL database to keep everything in. Processes that share one need `natsUrl` or `bus` too. */
  databaseUrl?: string;
  /**
   * How users prove who they are. `"dev"` believes everyone: only for servers that others cannot reach.
   *
   * What a verifier of the host's own returns is checked: where it breaks a rule of `Identity` the caller gets
   * INVALID_TOKEN and the log names the rule. Where it throws anything but a `ChatError` the caller gets INTERNAL.
   */
  auth: "dev" | JwtOptions | TokenVerifier;
  /**
   * Carries events between the processes that share a store; without it or
   * `natsUrl` this process is the only one. A given bus stays the host's to close.
   */
  bus?: Bus;
  /** The NATS servers that carry them, with commas between them. */
  natsUrl?: string;
  /** Those left out have their defaults, listed in docs/settings.md. */
  limits?: Partial<ChatLimits>;
  /** Proxies whose `x-forwarded-for` or `forwarded` is believed, and addresses without limits per address, as in docs/settings.md. */
  addresses?: AddressSettings;
  /** Limits of the gRPC server, for `serverOptions`. */
  serverLimits?: GrpcServerSettings & { maxUnaryDeadlineMs?: number };
  /**
   * Gets one object a line; pino fits. Its property `calls` says which calls get
   * one, by default those that failed. Without a logger nothing is logged.
   */
  logger?: Logger;
}

/**
 * The chat for code of the same process: no tokens, the same rules. The first
 * parameter is the user in whose name it acts; any user id will do, such as one
 * of the host's own for its notifications.
 */
export interface InProcessChat {
  /** Sends a message to one user. @throws ChatError as `ChatService.SendDirect` says */
  sendDirect(
    senderId: string,
    request: MessageInitShape<typeof SendDirectRequestSchema>,
  ): Promise<SendResult>;
  /** Sends a message to a group the sender is in. @throws ChatError as `ChatService.SendGroup` says */
  sendGroup(senderId: string, request: MessageInitShape<typeof SendGroupRequestSchema>): Promise<SendResult>;
  /** All calls of all services in the name of a user, such as `as("shop").groups.createGroup({ … })`. @throws ChatError INVALID_REQUEST when it is no user id */
  as(userId: string): InProcessServices;
  /** Tells whether a user has a session open on this node. */
  isOnline(userId: string): boolean;
  /** How many sessions, users and groups are connected to this node. */
  stats(): { sessions: number; users: number; groups: number };
}

/** A chat inside another service. */
export interface Parlance {
  chat: InProcessChat;
  /** Adds the services of the contract to a nice-grpc server that does not listen yet. */
  mount: (server: Pick<Server, "add">) => void;
  /**
   * Answers a request of node:http or node:http2 if its path names an rpc of
   * the contract, by the Connect, gRPC-Web or gRPC protocol or in plain JSON.
   * Returns whether it does. Same rules as on the gRPC server; other origins
   * and how long requests may take to arrive are the host's concern.
   */
  handleHttp: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Give them to nice-grpc's `createServer`: safe limits, and the interceptor that ends calls whose reader does not read. */
  serverOptions: ReturnType<typeof grpcServerOptions> & {
    interceptors: [ReturnType<typeof createCallHandles>["interceptor"]];
  };
  /**
   * Asks all sessions to reconnect elsewhere and takes no new ones. Resolves
   * when all are gone or the grace time, by default 10 seconds, is over. Before
   * the server is shut down.
   */
  drain: (graceMs?: number) => Promise<void>;
  /**
   * Stops a server and the chat without losing anything: `drain`, then the
   * server's own shutdown, cut short when the grace time is over, then `close`.
   */
  shutdown: (server: Pick<Server, "shutdown" | "forceShutdown">, graceMs?: number) => Promise<void>;
  /** Writes what was kept in memory and closes what it opened; a second time does nothing. After the server was shut down. */
  close: () => Promise<void>;
}

/** Content that is text. */
export function text(body: string): MessageInitShape<typeof ContentSchema> {
  return { kind: { case: "text", value: { body } } };
}

/**
 * Builds a chat inside another service.
 *
 * @throws RangeError when the secret for tokens is too short
 * @throws TypeError when the options say no store, or more than one store or bus, or networks that are none
 * @throws Error when another process has the store's file, or the database or NATS cannot be reached
 */
export async function createParlance(options: ParlanceOptions): Promise<Parlance> {
  checkBackends(options);
  const addresses = new CallerAddresses(options.addresses);
  const { maxUnaryDeadlineMs, ...serverLimits } = options.serverLimits ?? {};
  const log = options.logger ?? silent;
  const verifier = verifierOf(options.auth, log);
  const store = typeof options.store === "object" ? options.store : await storeOf(options, log);
  const ownsStore = store !== options.store;
  const bus =
    options.bus ??
    (await createBus({ natsUrl: options.natsUrl }, store, log).catch(async (error: unknown) => {
      if (ownsStore) await store.close();
      throw error;
    }));
  const handles = createCallHandles(maxUnaryDeadlineMs === undefined ? {} : { maxUnaryDeadlineMs });

  async function closeParts(): Promise<void> {
    if (options.bus === undefined) await bus.close();
    if (ownsStore) await store.close();
  }

  const limits = options.limits ?? {};
  const parts = { store, bus, verifier, limits, addresses, log, handles };
  const { chat, mount, servicesFor, validator } = await assemble(parts).catch(async (error: unknown) => {
    await closeParts();
    throw error;
  });

  async function close(): Promise<void> {
    try {
      await chat.close();
    } finally {
      await closeParts();
    }
  }

  let closing: Promise<void> | undefined;
  function closeOnce(): Promise<void> {
    closing ??= close();
    return closing;
  }

  const rpcs = createConnectHandler({
    services: servicesFor,
    logins: chat.logins,
    log,
    maxRequestBytes: serverLimits.maxReceiveMessageLength ?? settings.maxRequestBytes.default,
    maxUnaryDeadlineMs: maxUnaryDeadlineMs ?? settings.maxUnaryDeadlineMs.default,
  });

  return {
    chat: inProcess(chat, validator),
    mount,
    handleHttp: guarded((request, response) => rpcs.handle(request, response), log),
    serverOptions: { ...grpcServerOptions(serverLimits), interceptors: [handles.interceptor] },
    drain: (graceMs = defaultDrainGraceMs) => chat.sessions.drain(graceMs),
    async shutdown(server, graceMs = defaultDrainGraceMs) {
      const deadline = performance.now() + graceMs;
      await chat.sessions.drain(graceMs);
      await shutDownWithin(server, Math.max(100, deadline - performance.now()));
      await closeOnce();
    },
    close: closeOnce,
  };
}

/** As the default of the server's setting `drainGraceMs`. */
const defaultDrainGraceMs = 10_000;

const silent: Logger = { info() {}, warn() {}, error() {} };

function checkBackends({ store, databaseUrl, bus, natsUrl }: ParlanceOptions): void {
  if ((store === undefined) === (databaseUrl === undefined))
    throw new TypeError("createParlance needs either store or databaseUrl");
  if (bus !== undefined && natsUrl !== undefined)
    throw new TypeError("createParlance takes either bus or natsUrl");
  if (natsUrl !== undefined && typeof store === "string")
    throw new TypeError("natsUrl connects processes that share a store; an SQLite file is for one process");
  // Never with the value, which holds a password.
  for (const [name, url] of Object.entries({ databaseUrl, natsUrl })) {
    const { schema, allowed } = settings[name as "databaseUrl" | "natsUrl"];
    if (url !== undefined && !schema.safeParse(url).success)
      throw new TypeError(`${name} must be ${allowed}`);
  }
}

function storeOf({ store, databaseUrl }: ParlanceOptions, log: Logger): Promise<Store> {
  return typeof store === "string"
    ? createSqliteStore({ path: store, logger: log })
    : createStore({ databaseUrl, dataDir: "" }, log);
}

function verifierOf(auth: ParlanceOptions["auth"], log: Logger): TokenVerifier {
  if (auth === "dev") return createDevVerifier();
  return "verify" in auth ? checkVerifier(auth, log) : createJwtVerifier(auth);
}

function inProcess(chat: Chat, validator: RequestValidator): InProcessChat {
  const { hub } = chat;
  const servicesOf = createInProcess(chat, validator);
  const as = (userId: string) => servicesOf(callerOf(userId));
  return {
    async sendDirect(senderId, request) {
      const { result } = await as(senderId).chat.sendDirect(request);
      return result as SendResult;
    },
    async sendGroup(senderId, request) {
      const { result } = await as(senderId).chat.sendGroup(request);
      return result as SendResult;
    },
    as,
    isOnline: (userId) => hub.sessionsOfUser(userId).size > 0,
    stats: () => ({ sessions: hub.sessions.size, users: hub.userCount, groups: hub.groupCount }),
  };
}

function callerOf(userId: string): Caller {
  if (typeof userId !== "string" || !isUserId(userId)) {
    throw new ChatError(ErrorReason.INVALID_REQUEST, `the user id to act for must be ${userIdRule}`);
  }
  return {
    userId,
    deviceId: "in-process",
    platform: 0,
    sessionId: "in-process",
    expireTimeMs: Number.MAX_SAFE_INTEGER,
    issueTimeMs: 0,
    isHost: true,
  };
}
