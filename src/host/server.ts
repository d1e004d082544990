import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { createDevVerifier } from "../auth/dev.ts";
import { createJwtVerifier } from "../auth/jwt.ts";
import type { TokenVerifier } from "../auth/verifier.ts";
import type { ChatLimits } from "../chat/limits.ts";
import { defaultLoginRates, defaultUserRates } from "../chat/rate-limits.ts";
import { hostNodeName } from "../cluster/node-name.ts";
import { joinNodes } from "../cluster/nodes.ts";
import type { Config } from "../config/config.ts";
import { parseOrigins } from "../config/origins.ts";
import { type HttpEdge, type HttpEdgeOptions, startHttpEdge } from "../http/http-edge.ts";
import { type Clock, systemClock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import { createCallHandles } from "../net/call-handles.ts";
import { CallerAddresses } from "../net/caller-address.ts";
import { ConnectionLimit } from "../net/connection-limit.ts";
import { createAdminService } from "../rpc/admin-service.ts";
import { type DeferredServices, deferServices } from "../rpc/deferred-services.ts";
import { type GrpcServer, startGrpcServer } from "../rpc/grpc/grpc-server.ts";
import type { StoreEnding } from "../store/ports/health.ts";
import { version } from "../version.ts";
import { createBus, openStore } from "./backends.ts";
import { dataFileOf } from "./maintenance.ts";
import { assemble } from "./parlance.ts";
import { watchStore } from "./store-watch.ts";

/** A running service. */
export interface RunningServer {
  /** The node's name. */
  node: string;
  /** Where it listens, such as `127.0.0.1:50051`. */
  address: string;
  port: number;
  /** Where it speaks HTTP, such as `127.0.0.1:8080`; undefined when that is off. */
  httpAddress: string | undefined;
  /** Where operators reach it; undefined when that is off. */
  adminAddress: string | undefined;
  /** The SQLite file that holds everything; empty when a database does. */
  dataFile: string;
  /** The database that holds everything, as `host:port/name`; undefined when a file does. */
  database: string | undefined;
  /** How many sessions and calls are open. */
  stats: () => { sessions: number; users: number; groups: number; calls: number };
  /** Resolves when the service cannot go on and has to be closed; never otherwise. */
  failed: Promise<ServerFailure>;
  /**
   * Stops without losing anything: says NOT_SERVING, asks sessions to
   * reconnect elsewhere, answers what is under way, then closes. Takes at most
   * the grace time and a little.
   */
  close: () => Promise<void>;
}

/** Why a service cannot go on. */
export interface ServerFailure {
  /** In one line, for people. */
  message: string;
  exitCode: number;
}

/** The exit code of a service that a supervisor should start anew (EX_TEMPFAIL of sysexits.h). */
const startAnew = 75;

/**
 * Builds the whole service from its configuration and starts it; closes what it
 * had built when a part fails.
 *
 * While the database or NATS cannot be reached it waits for them, with its ports
 * open: health is NOT_SERVING, and calls are refused with SERVER_STARTING.
 *
 * @param options.signal ends the start, which then fails with the signal's reason
 * @param options.clock what time it is; by default the machine's
 */
export async function startServer(
  config: Config,
  log: Logger,
  {
    signal = new AbortController().signal,
    clock = systemClock,
  }: { signal?: AbortSignal; clock?: Clock } = {},
): Promise<RunningServer> {
  const tls = tlsOf(config);
  const verifier = verifierOf(config);
  const handles = createCallHandles({ maxUnaryDeadlineMs: config.maxUnaryDeadlineMs });
  const addresses = new CallerAddresses(config);
  const { maxConnectionsPerAddress } = config;
  const maxConnections = maxConnectionsOf(config);
  const connections = new ConnectionLimit({ maxConnections, maxConnectionsPerAddress }, addresses, log);
  const deferred = deferServices(log);
  const node = config.node ?? hostNodeName();
  const failure = Promise.withResolvers<ServerFailure>();
  const closers = createClosers();

  try {
    const limits = {
      ...config,
      maxReceiveMessageLength: config.maxRequestBytes,
      maxConnections,
    };
    const grpcOptions = { tls, reflection: showsReflection(config), limits, log };
    const grpc = await startGrpcServer({
      ...grpcOptions,
      host: config.host,
      port: config.port,
      services: deferred.servicesFor(handles),
      handles,
      connections,
    });
    closers.addPort(grpc.close);
    const address = addressOf(config.host, grpc.port);
    let http: HttpEdge | undefined;
    if (config.http) {
      http = await startHttpEdge({ ...httpOptionsOf(config, tls, deferred, log), connections });
      closers.addPort(http.close);
    }

    const store = await openStore(config, log, signal, clock);
    closers.addPart(() => store.close());
    const stopListening = store.onEnding((ending) =>
      failure.resolve({ message: endingMessages[ending], exitCode: startAnew }),
    );
    closers.addPart(async () => stopListening());
    const bus = await createBus({ ...config, node }, store, log, signal);
    closers.addPart(() => bus.close());

    const instanceId = randomUUID();
    const { chat, servicesFor, validator } = await assemble({
      store,
      bus,
      verifier,
      limits: limitsOf(config),
      addresses,
      log,
      instanceId,
      clock,
    });
    closers.addPart(() => chat.close());

    let stopping = false;
    let draining = false;
    const watch = watchStore(store, log, showServing);
    closers.addPart(async () => watch.close());
    // A store that cannot write is not served as if it could: the watch hears of it, and tries again.
    await store.probe().catch(() => {});
    function showServing(): void {
      const serving = !stopping && !draining && watch.works;
      grpc.setServing(serving);
      http?.setServing(serving);
    }

    const nodes = joinNodes({
      bus,
      name: node,
      instanceId,
      version,
      state: () => ({
        address: publicAddressOf(address),
        sessions: chat.hub.sessions.size,
        users: chat.hub.userCount,
        draining: draining || stopping,
      }),
      onDrain(sessionsPerSecond) {
        draining = true;
        showServing();
        // Time enough for that pace, as nobody waits for the end.
        const pacedMs = sessionsPerSecond && (chat.hub.sessions.size / sessionsPerSecond) * 2_000;
        void chat.sessions.drain(config.drainGraceMs + pacedMs, sessionsPerSecond);
      },
      onNameTaken: ({ message }) => failure.resolve({ message, exitCode: 1 }),
      log,
    });
    closers.addPart(async () => nodes.close());
    await nodes.claimName();
    signal.throwIfAborted();

    let admin: GrpcServer | undefined;
    if (config.adminPort !== undefined) {
      const { adminHost, adminPort, adminToken, drainSessionsPerSecond, maxUnaryDeadlineMs } = config;
      const parts = { nodes, token: adminToken, drainSessionsPerSecond, validator, log };
      admin = await startGrpcServer({
        ...grpcOptions,
        host: adminHost,
        port: adminPort,
        services: [createAdminService(parts)],
        handles: createCallHandles({ maxUnaryDeadlineMs }),
      });
      closers.addPort(admin.close);
      admin.setServing(true);
    }
    deferred.open({ servicesFor, logins: chat.logins });
    showServing();

    async function stop(): Promise<void> {
      stopping = true;
      showServing();
      const deadline = performance.now() + config.drainGraceMs;
      await chat.sessions.drain(config.drainGraceMs, config.drainSessionsPerSecond);
      await closers.close(Math.max(100, deadline - performance.now()));
    }

    let closing: Promise<void> | undefined;
    return {
      node,
      address,
      port: grpc.port,
      httpAddress: http && addressOf(config.host, http.port),
      adminAddress: admin && addressOf(config.adminHost, admin.port),
      dataFile: config.databaseUrl === undefined ? dataFileOf(config) : "",
      database: databaseOf(config),
      stats: () => ({
        sessions: chat.hub.sessions.size,
        users: chat.hub.userCount,
        groups: chat.hub.groupCount,
        calls: handles.size + (http?.calls ?? 0),
      }),
      failed: failure.promise,
      close: () => {
        closing ??= stop();
        return closing;
      },
    };
  } catch (error) {
    await closers.close(0).catch(() => {});
    throw error;
  }
}

const endingMessages: Record<StoreEnding, string> = {
  replaced:
    "the database was put back to an earlier state, as by a failover that lost commits, so what this node knows of it may be wrong; start it anew",
  outdated: "a later release of Parlance writes to the database; start that release here, too",
};

/** Keeps what was built so that it can be closed in order: the ports first, as their calls need the parts. */
function createClosers() {
  const ports: ((graceMs: number) => Promise<void>)[] = [];
  const parts: (() => Promise<void>)[] = [];
  return {
    /** Adds a port, with what closes it. */
    addPort: (close: (graceMs: number) => Promise<void>) => void ports.push(close),
    /** Adds a part, which is closed before those it was built on. */
    addPart: (close: () => Promise<void>) => void parts.push(close),
    /** Closes everything, also after a part that failed: a worker of the store would keep the process alive. */
    async close(graceMs: number): Promise<void> {
      const failures: unknown[] = [];
      const note = (error: unknown) => void failures.push(error);
      await Promise.all(ports.map((close) => close(graceMs).catch(note)));
      for (const close of parts.toReversed()) await close().catch(note);
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** Names a database without its user and password. */
function databaseOf({ databaseUrl }: Config): string | undefined {
  if (databaseUrl === undefined) return undefined;
  const { host = "", pathname = "" } = URL.parse(databaseUrl) ?? {};
  return `${host}${pathname}`;
}

/** Where others reach what listens on all addresses. */
function publicAddressOf(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\]):/, `${hostname()}:`);
}

/** Only what the chat is concerned with: a secret has no business there. */
function limitsOf(config: Config): ChatLimits {
  return {
    maxContentBytes: config.maxContentBytes,
    maxAnswerBytes: config.maxAnswerBytes,
    maxGroupMembers: config.maxGroupMembers,
    maxInFlight: config.maxInFlight,
    maxSessions: config.maxSessions,
    maxNewSessionsPerSecond: config.maxNewSessionsPerSecond,
    chosenGroupIds: config.chosenGroupIds,
    presenceVisibility: config.presenceVisibility,
    pingIntervalMs: config.pingIntervalMs,
    outboxMaxBytes: config.outboxMaxBytes,
    maxUnreadBytes: config.maxUnreadBytes,
    replayLimit: config.replayLimit,
    sessionTtlMs: config.sessionTtlSeconds * 1000,
    sessionMaxAgeMs: config.sessionMaxAgeMs,
    firstRequestTimeoutMs: config.firstRequestTimeoutMs,
    maxStreamsPerUser: config.maxStreamsPerUser,
    maxSessionsPerUser: config.maxSessionsPerUser,
    maxDevicesPerUser: config.maxDevicesPerUser,
    maxStoredBytesPerUser: config.maxStoredBytesPerUser,
    maxGroupsPerUser: config.maxGroupsPerUser,
    maxGroupsOwnedPerUser: config.maxGroupsOwnedPerUser,
    ...pick(config, defaultUserRates),
    ...pick(config, defaultLoginRates),
  };
}

/** Returns the settings of those names. */
function pick<Named extends Partial<Config>>(
  config: Config,
  named: Named,
): Pick<Config, keyof Named & keyof Config> {
  const entries = (Object.keys(named) as (keyof Config)[]).map((name) => [name, config[name]]);
  return Object.fromEntries(entries) as Pick<Config, keyof Named & keyof Config>;
}

/** Each session may have a connection of its own, and some more are for single calls. */
function maxConnectionsOf({ maxConnections, maxSessions }: Config): number {
  return maxConnections ?? maxSessions + 1_000;
}

function addressOf(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Where the web page is: beside a server that was built, under `dist` for one that runs from its sources. */
const pageFolders = ["../../web", "../../dist/web"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

function httpOptionsOf(
  config: Config,
  tls: HttpEdgeOptions["tls"],
  { servicesFor, logins }: DeferredServices,
  log: Logger,
): Omit<HttpEdgeOptions, "connections"> {
  const { host, httpPort, maxRequestBytes, maxUnaryDeadlineMs, corsOrigins, httpBasePath } = config;
  return {
    host,
    port: httpPort,
    tls,
    services: servicesFor,
    logins,
    log,
    reflection: showsReflection(config),
    maxRequestBytes,
    maxUnaryDeadlineMs,
    corsOrigins: (corsOrigins !== undefined && parseOrigins(corsOrigins)) || [],
    loopbackOnly: config.auth === "dev",
    basePath: httpBasePath,
    pageFolder: pageFolders.find((folder) => existsSync(folder)),
    limits: { ...config, maxConnections: maxConnectionsOf(config) },
  };
}

/** Whether strangers may ask for the contract. In production clients have it anyway. */
function showsReflection({ reflection, auth }: Config): boolean {
  return reflection ?? auth === "dev";
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
