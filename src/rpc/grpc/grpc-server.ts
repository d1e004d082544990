import { ServerCredentials } from "@grpc/grpc-js";
import { createServer, type Server } from "nice-grpc";
import { Health as HealthService } from "../../../gen/grpc/health/v1/health_pb.js";
import type { Logger } from "../../model/logger.ts";
import type { CallHandles } from "../../net/call-handles.ts";
import { guardConnections } from "../../net/connection-guard.ts";
import type { ConnectionLimit } from "../../net/connection-limit.ts";
import { preparingServers } from "../../net/http2-servers.ts";
import { type KeepaliveLimits, startKeepalive } from "../../net/keepalive.ts";
import { createHealth } from "../health.ts";
import { createReflection } from "../reflection.ts";
import type { MountableService } from "../services.ts";
import { type GrpcServerSettings, grpcServerOptions } from "./grpc-options.ts";

/** The options of a gRPC server. */
export interface GrpcServerOptions {
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** PEM. Without them the server speaks plain HTTP/2. */
  tls?: { cert: Buffer; key: Buffer } | undefined;
  reflection: boolean;
  services: readonly MountableService[];
  handles: CallHandles;
  /** Counts connections together with other ports. */
  connections?: ConnectionLimit;
  limits: GrpcServerSettings & KeepaliveLimits;
  log: Logger;
}

/** A gRPC server that accepts calls. */
export interface GrpcServer {
  port: number;
  /** Says in `grpc.health.v1` whether calls should come here. */
  setServing: (serving: boolean) => void;
  /** Sends GOAWAY, waits for the calls under way for at most `graceMs`, then cuts them. */
  close: (graceMs: number) => Promise<void>;
}

/** Tells grpc-js to send no pings: a timer of its own for each connection, and a ping however lively the peer is. */
const noKeepaliveMs = 2 ** 31 - 1;

/** Starts a server with the services, health and, if wanted, reflection. It is NOT_SERVING until told otherwise. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { host, tls, services, handles, limits } = options;
  const server = createServer({
    ...grpcServerOptions({ ...limits, keepaliveTimeMs: noKeepaliveMs }),
    interceptors: [handles.interceptor],
  });
  for (const service of services) service.mount(server);
  const health = createHealth(services.map(({ name }) => name));
  server.add(health.definition, health.implementation);
  if (options.reflection) {
    const shown = [...services.map(({ service }) => service), HealthService];
    for (const { definition, implementation } of createReflection(shown)) {
      server.add(definition, implementation);
    }
  }
  const credentials = tls
    ? ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }])
    : ServerCredentials.createInsecure();
  const address = `${host.includes(":") ? `[${host}]` : host}:${options.port}`;
  const keepalive = startKeepalive(limits);
  const port = await preparingServers(
    (http2Server) => {
      guardConnections(http2Server, limits.maxConnections ?? 50_000, keepalive, options.log);
      options.connections?.guard(http2Server);
    },
    () => server.listen(address, credentials),
  ).catch((error: unknown) => {
    keepalive.stop();
    throw error;
  });

  return {
    port,
    setServing: (serving) => health.setServing(serving),
    async close(graceMs) {
      health.endWatches();
      await shutDownWithin(server, graceMs);
      keepalive.stop();
    },
  };
}

/** Sends GOAWAY, waits for the calls under way for at most `graceMs`, then cuts them. */
export async function shutDownWithin(
  server: Pick<Server, "shutdown" | "forceShutdown">,
  graceMs: number,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, graceMs);
  });
  await Promise.race([server.shutdown(), grace]);
  clearTimeout(timer);
  server.forceShutdown();
}
