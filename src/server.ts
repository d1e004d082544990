import { readFileSync } from "node:fs";
import { createDevVerifier } from "./auth/dev.ts";
import { createJwtVerifier } from "./auth/jwt.ts";
import type { TokenVerifier } from "./auth/verifier.ts";
import { createLocalBus } from "./bus/local.ts";
import type { ChatLimits } from "./chat/limits.ts";
import type { Logger } from "./chat/logger.ts";
import type { Config } from "./config.ts";
import { dataFileOf } from "./maintenance.ts";
import { assemble } from "./parlance.ts";
import { createCallHandles } from "./rpc/call-handles.ts";
import { startGrpcServer } from "./rpc/grpc-server.ts";
import { createSqliteStore } from "./store/sqlite/sqlite-store.ts";

/** A running service. */
export interface RunningServer {
  /** Where it listens, such as `127.0.0.1:50051`. */
  address: string;
  port: number;
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
  async function closeParts(): Promise<void> {
    for (const closePart of closers.toReversed()) await closePart();
  }

  try {
    const store = await createSqliteStore({ path: dataFile, logger: log });
    closers.push(() => store.close());
    const bus = createLocalBus();
    closers.push(() => bus.close());
    const handles = createCallHandles({ maxUnaryDeadlineMs: config.maxUnaryDeadlineMs });
    const verifier = verifierOf(config);
    const { chat, services } = await assemble({
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
      limits: { ...config, maxReceiveMessageLength: config.maxRequestBytes },
    });
    closers.push(async () => {
      grpc.setServing(false);
      const deadline = performance.now() + config.drainGraceMs;
      await chat.drain(config.drainGraceMs);
      await grpc.close(Math.max(100, deadline - performance.now()));
    });
    grpc.setServing(true);

    let closing: Promise<void> | undefined;
    return {
      address: `${config.host.includes(":") ? `[${config.host}]` : config.host}:${grpc.port}`,
      port: grpc.port,
      dataFile,
      stats: () => ({
        sessions: chat.hub.sessions.size,
        users: chat.hub.userCount,
        groups: chat.hub.groupCount,
        calls: handles.size,
      }),
      close: () => {
        closing ??= closeParts();
        return closing;
      },
    };
  } catch (error) {
    await closeParts();
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
    pingIntervalMs: config.pingIntervalMs,
    outboxMaxBytes: config.outboxMaxBytes,
    replayLimit: config.replayLimit,
    sessionTtlMs: config.sessionTtlSeconds * 1000,
    sessionMaxAgeMs: config.sessionMaxAgeMs,
    firstRequestTimeoutMs: config.firstRequestTimeoutMs,
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
