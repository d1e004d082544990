import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.js";
import { chatServices } from "../../wire/services.ts";
import type { Logins } from "../chat/logins.ts";
import type { Logger } from "../model/logger.ts";
import { type ConnectHandlerOptions, createConnectHandler } from "../rpc/connect/connect-handler.ts";
import { guarded } from "../rpc/connect/guard.ts";
import { createHealth } from "../rpc/health.ts";
import { createReflection } from "../rpc/reflection.ts";
import { belowPath } from "./base-path.ts";
import { type HttpServerOptions, startHttpServer } from "./http-server.ts";
import { createSite } from "./site.ts";
import { serveFiles } from "./static-files.ts";

/** The options of the HTTP port. */
export interface HttpEdgeOptions extends Omit<HttpServerOptions, "listener"> {
  services: ConnectHandlerOptions["services"];
  logins: Pick<Logins, "resolve">;
  log: Logger;
  reflection: boolean;
  maxRequestBytes: number;
  maxUnaryDeadlineMs: number;
  /** Origins whose pages may call, beside the site's own. */
  corsOrigins: readonly string[];
  /** Whether only requests that name a loopback host are answered; see `SiteOptions`. */
  loopbackOnly: boolean;
  /** The path below which all of it is found too; see `belowPath`. */
  basePath: string;
  /** The folder of the built web page, if there is one. */
  pageFolder?: string | undefined;
}

/** The HTTP port: the rpcs in Connect, gRPC-Web, gRPC and JSON, health, the OpenAPI document and the web page. */
export interface HttpEdge {
  port: number;
  /** How many calls are open. */
  readonly calls: number;
  /** Says in `/readyz` and `grpc.health.v1` whether calls should come here. */
  setServing: (serving: boolean) => void;
  /** Takes no more connections, waits for what is under way for at most `graceMs`, then cuts it. */
  close: (graceMs: number) => Promise<void>;
}

/** Starts the HTTP port. It is not ready until told otherwise. */
export async function startHttpEdge(options: HttpEdgeOptions): Promise<HttpEdge> {
  const health = createHealth(chatServices.map(({ typeName }) => typeName));
  const reflection = options.reflection ? createReflection([...chatServices, HealthService]) : [];
  const rpcs = createConnectHandler({
    ...options,
    openServices: [{ service: HealthService, implementation: { ...health.implementation } }, ...reflection],
  });
  let serving = false;
  const site = createSite({
    rpcs,
    isServing: () => serving,
    corsOrigins: options.corsOrigins,
    loopbackOnly: options.loopbackOnly,
    files: options.pageFolder === undefined ? undefined : serveFiles(options.pageFolder),
  });
  const server = await startHttpServer({
    ...options,
    listener: guarded(belowPath(options.basePath, site), options.log),
  });

  return {
    port: server.port,
    get calls() {
      return rpcs.calls.size;
    },
    setServing(isServing) {
      serving = isServing;
      health.setServing(isServing);
    },
    async close(graceMs) {
      health.endWatches();
      await server.close(graceMs);
    },
  };
}
