import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createDevVerifier } from "./auth/dev.ts";
import { createJwtVerifier } from "./auth/jwt.ts";
import type { TokenVerifier } from "./auth/verifier.ts";
import { createLocalBus } from "./bus/local.ts";
import type { Chat } from "./chat/chat.ts";
import type { ChatLimits } from "./chat/limits.ts";
import type { Logger } from "./chat/logger.ts";
import type { Config } from "./config.ts";
import { type HttpEdge, type HttpEdgeOptions, startHttpEdge } from "./http/http-edge.ts";
import { dataFileOf } from "./maintenance.ts";
import { assemble } from "./parlance.ts";
import { createCallHandles } from "./rpc/call-handles.ts";
import { startGrpcServer } from "./rpc/grpc-server.ts";
import { createSqliteStore } from "./store/sqlite/sqlite-store.ts";
import { watchStore } from "./store-watch.ts";

/** A running service. */
export interface RunningServer {
  /** Where it listens, such as `127.0.0.1:50051`. */
  address: string;
  port: number;
  /** Where it speaks HTTP, such as `127.0.0.1:8080`; undefined when that is off. */
  httpAddress: string | undefined;
  /** The SQLite file. */
  dataFile: string;
  /** How many sessions and calls are open. */
  stats: () => { sessions: number; users: number; groups: number; calls: number };
  /**
   * Stops without losing anything: says NOT_SERVING, asks sessions to
   * reconnect elsewhere, answers what is under way, then closes. Takes at most
   * the grace time and a little.
   */
  close: () => Promise<void>;
}

/** Builds the whole service from its configuration and starts it; closes what it had built when a part fails. */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const tls = tlsOf(config);
  const dataFile = dataFileOf(config);
  /** What closes each part, in the order they were built. */
  const closers: (() => Promise<void>)[] = [];
  /** Closes every part, also after one that failed: a worker of the store would keep the process alive. */
  async function closeParts(): Promise<void> {
    const failures: unknown[] = [];
    for (const closePart of closers.toReversed()) await closePart().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  try {
    const store = await createSqliteStore({ path: dataFile, logger: log });
    closers.push(() => store.close());
    const bus = createLocalBus();
    closers.push(() => bus.close());
    const handles = createCallHandles({ maxUnaryDeadlineMs: config.maxUnaryDeadlineMs });
    const verifier = verifierOf(config);
    const { chat, services, servicesFor } = await assemble({
      store,
      bus,
      verifier,
      limits: limitsOf(config),
      log,
      handles,
    });
    closers.push(() => chat.close());
    const grpc = await startGrpcServer({
      host: config.host,
      port: config.port,
      tls,
      reflection: config.reflection,
      services,
      handles,
      limits: {
        ...config,
        maxReceiveMessageLength: config.maxRequestBytes,
        maxConnections: maxConnectionsOf(config),
      },
    });
    let http: HttpEdge | undefined;
    let stopping = false;
    const showServing = () => {
      const serving = !stopping && watch.works;
      grpc.setServing(serving);
      http?.setServing(serving);
    };
    const watch = watchStore(store, log, showServing);
    closers.push(async () => {
      stopping = true;
      showServing();
      watch.close();
      const deadline = performance.now() + config.drainGraceMs;
      await chat.drain(config.drainGraceMs);
      const graceMs = Math.max(100, deadline - performance.now());
      await Promise.all([grpc.close(graceMs), http?.close(graceMs)]);
    });
    if (config.http) http = await startHttpEdge(httpOptionsOf(config, tls, chat, servicesFor, log));
    showServing();

    let closing: Promise<void> | undefined;
    return {
      address: addressOf(config.host, grpc.port),
      port: grpc.port,
      httpAddress: http && addressOf(config.host, http.port),
      dataFile,
      stats: () => ({
        sessions: chat.hub.sessions.size,
        users: chat.hub.userCount,
        groups: chat.hub.groupCount,
        calls: handles.size + (http?.calls ?? 0),
      }),
      close: () => {
        closing ??= closeParts();
        return closing;
      },
    };
  } catch (error) {
    await closeParts().catch(() => {});
    throw error;
  }
}

/** Only what the chat is concerned with: a secret has no business there. */
function limitsOf(config: Config): ChatLimits {
  return {
    maxContentBytes: config.maxContentBytes,
    maxGroupMembers: config.maxGroupMembers,
    maxInFlight: config.maxInFlight,
    maxSessions: config.maxSessions,
    maxNewSessionsPerSecond: config.maxNewSessionsPerSecond,
    pingIntervalMs: config.pingIntervalMs,
    outboxMaxBytes: config.outboxMaxBytes,
    replayLimit: config.replayLimit,
    sessionTtlMs: config.sessionTtlSeconds * 1000,
    sessionMaxAgeMs: config.sessionMaxAgeMs,
    firstRequestTimeoutMs: config.firstRequestTimeoutMs,
  };
}

/** Each session may have a connection of its own, and some more are for single calls. */
function maxConnectionsOf({ maxSessions }: Config): number {
  return maxSessions + 1_000;
}

function addressOf(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Where the web page is: beside a server that was built, under `dist` for one that runs from its sources. */
const pageFolders = ["../web", "../dist/web"].map((path) => fileURLToPath(new URL(path, import.meta.url)));

function httpOptionsOf(
  config: Config,
  tls: HttpEdgeOptions["tls"],
  chat: Chat,
  services: HttpEdgeOptions["services"],
  log: Logger,
): HttpEdgeOptions {
  const { host, httpPort, reflection, maxRequestBytes, maxUnaryDeadlineMs, corsOrigins } = config;
  return {
    host,
    port: httpPort,
    tls,
    services,
    logins: chat.logins,
    log,
    reflection,
    maxRequestBytes,
    maxUnaryDeadlineMs,
    corsOrigins: corsOrigins?.split(",") ?? [],
    loopbackOnly: config.auth === "dev",
    pageFolder: pageFolders.find((folder) => existsSync(folder)),
    limits: { ...config, maxConnections: maxConnectionsOf(config) },
  };
}

function verifierOf({ auth, jwtSecret, jwtIssuer, jwtAudience, jwtMaxAgeSeconds }: Config): TokenVerifier {
  const tokens =
    jwtSecret === undefined
      ? undefined
      : createJwtVerifier({
          secret: jwtSecret,
          issuer: jwtIssuer,
          audience: jwtAudience,
          maxAgeSeconds: jwtMaxAgeSeconds,
        });
  // `config.ts` has made sure that `jwt` comes with a secret and `dev` with a loopback address.
  return auth === "dev" || tokens === undefined ? createDevVerifier(tokens) : tokens;
}

function tlsOf({ tlsCertFile, tlsKeyFile }: Config): { cert: Buffer; key: Buffer } | undefined {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  return { cert: readFileSync(tlsCertFile), key: readFileSync(tlsKeyFile) };
}
