import { readFileSync } from "node:fs";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ConnectHandler } from "../rpc/connect/connect-handler.ts";
import type { HttpRequest, HttpResponse } from "../rpc/connect/http-call.ts";
import { refuse } from "../rpc/connect/response.ts";
import { toOriginForm } from "../rpc/connect/target.ts";
import { createCors, hostOf } from "./cors.ts";
import type { ServeFile } from "./static-files.ts";

/** The pages and files that the HTTP port serves. */
export interface SiteOptions {
  rpcs: Pick<ConnectHandler, "handle">;
  /** Whether calls should come here: what `/readyz` says. */
  isServing: () => boolean;
  /** Origins whose pages may call, beside the site's own. */
  corsOrigins: readonly string[];
  /**
   * Whether only requests that name a loopback host are answered. Where anyone
   * may be anybody, a page of another site could otherwise come in under a name
   * of its own that leads to this machine.
   */
  loopbackOnly: boolean;
  /** The web page. */
  files?: ServeFile | undefined;
}

/** Answers every request of the HTTP port: rpcs, health, the OpenAPI document, the web page. */
export function createSite(options: SiteOptions): (request: HttpRequest, response: HttpResponse) => void {
  const { rpcs, isServing, loopbackOnly, files } = options;
  const cors = createCors(options.corsOrigins);
  const openApi = readFileSync(new URL("../../gen/openapi.json", import.meta.url));

  return (request, response) => {
    toOriginForm(request);
    const path = request.url?.split("?", 1)[0] ?? "";
    if (path === "/healthz") return sendText(response, 200, "ok\n");
    if (path === "/readyz")
      return isServing() ? sendText(response, 200, "ready\n") : sendText(response, 503, "not ready\n");
    if (loopbackOnly && !isLoopbackName(hostOf(request)))
      return forbid(
        request,
        response,
        "with auth=dev this server answers to localhost only; see docs/http.md",
      );
    if (!cors.admit(request, response))
      return forbid(
        request,
        response,
        `the origin ${request.headers.origin} may not call; see the setting corsOrigins`,
      );
    if (cors.answerPreflight(request, response)) return;
    if (path === "/openapi.json" && (request.method === "GET" || request.method === "HEAD")) {
      response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache" });
      response.end(request.method === "HEAD" ? undefined : openApi);
      return;
    }
    if (rpcs.handle(request, response) || files?.(request, response)) return;
    notFound(request, response);
  };
}

function sendText(response: HttpResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(text);
}

function forbid(request: HttpRequest, response: HttpResponse, message: string): void {
  refuse(request, response, new ConnectError(message, Code.PermissionDenied));
}

function notFound(request: HttpRequest, response: HttpResponse): void {
  const message = "nothing is served under this path; /openapi.json lists the rpcs";
  refuse(request, response, new ConnectError(message, Code.Unimplemented), 404);
}

function isLoopbackName(host: string | undefined): boolean {
  const name = URL.parse(`http://${host}`)?.hostname ?? "";
  return (
    name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d+){3}$/.test(name)
  );
}
