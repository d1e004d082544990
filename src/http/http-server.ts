import { createServer as createHttp, type RequestListener, type Server } from "node:http";
import { createServer as createHttp2, type ServerHttp2Session } from "node:http2";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Logger } from "../model/logger.ts";
import { guardSession } from "../net/connection-guard.ts";
import type { ConnectionLimit } from "../net/connection-limit.ts";
import { serveBoth } from "../net/http-versions.ts";
import { closeWhenIdle } from "../net/idle-session.ts";
import { type KeepaliveLimits, probe, startKeepalive } from "../net/keepalive.ts";
import { guardStreams } from "../net/stream-guard.ts";
import { cutSilentPeers } from "../net/tcp-table.ts";
import type { HttpRequest, HttpResponse } from "../rpc/connect/http-call.ts";
import { failureFacts } from "../telemetry/failure-facts.ts";

/** The limits that protect the HTTP port from careless and hostile peers. */
export interface HttpServerLimits extends KeepaliveLimits {
  /** Calls at a time per HTTP/2 connection. */
  maxConcurrentStreams: number;
  /** How long an HTTP/2 connection may have no call, in milliseconds. */
  maxConnectionIdleMs: number;
  /** The most connections at a time; further ones are closed at once. */
  maxConnections: number;
}

/** The options of an HTTP server. */
export interface HttpServerOptions {
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** PEM. Without them the server speaks HTTP/1.1 and HTTP/2 in clear text. */
  tls?: { cert: Buffer; key: Buffer } | undefined;
  limits: HttpServerLimits;
  /** Counts connections together with other ports. */
  connections: ConnectionLimit;
  log: Logger;
  /** Answers requests of both versions; throws nothing. */
  listener: (request: HttpRequest, response: HttpResponse) => void;
}

/** An HTTP server that accepts requests. */
export interface HttpServer {
  port: number;
  /** Takes no more connections, waits for the requests under way for at most `graceMs`, then cuts them. */
  close: (graceMs: number) => Promise<void>;
}

/** How long a peer may take to send the first bytes of a connection, and the headers and body of a request. */
const patienceMs = 10_000;
/** How long a connection of HTTP/1.1 may lie idle between requests. */
const idleMs = 30_000;
const maxHeaderSize = 16_384;

/**
 * Starts a server that speaks HTTP/1.1 and HTTP/2 on one port: by ALPN with
 * TLS, and otherwise by how a connection begins.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { host, port, tls, limits } = options;
  const listener = options.listener as RequestListener;
  const timeouts = {
    headersTimeout: patienceMs,
    // To receive a request, not to answer it.
    requestTimeout: patienceMs,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: idleMs,
    maxHeaderSize,
  };
  const server: Server =
    tls === undefined
      ? createHttp(timeouts, listener)
      : createHttps({ ...timeouts, ...tls, ALPNProtocols: ["h2", "http/1.1"] }, listener);
  const http2 = createHttp2(
    {
      maxHeaderListPairs: 100,
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: maxHeaderSize },
    },
    options.listener as never,
  );
  guardStreams(http2);
  const sessions = new Set<ServerHttp2Session>();
  http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => {});
    closeWhenIdle(session, limits.maxConnectionIdleMs);
  });
  const keepalive = startKeepalive(limits);
  const sockets = new Set<Socket>();
  serveBoth(server, tls === undefined ? "connection" : "secureConnection", patienceMs, (socket) => {
    // Sockets of a server for HTTP/1.1 stay open when the peer's side ends; a session of HTTP/2 would not notice.
    socket.allowHalfOpen = false;
    http2.once("session", (session) => guardSession(session, socket, keepalive));
    http2.emit("connection", socket);
  });
  server.maxConnections = limits.maxConnections;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    probe(socket);
    socket.once("close", () => sockets.delete(socket));
  });

  options.connections.guard(server);

  const stopCutting = cutSilentPeers(sockets);

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", (error) => options.log.error(failureFacts(error), "the HTTP port failed"));
  return {
    port: (server.address() as AddressInfo).port,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      for (const session of sessions) session.close();
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      // A connection of HTTP/1.1 may get idle only after its last answer.
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      await closed;
      stopCutting();
      keepalive.stop();
      clearTimeout(cut);
      clearInterval(idle);
    },
  };
}
