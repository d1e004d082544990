import type { HttpRequest, HttpResponse } from "../rpc/connect/http-call.ts";
import { toOriginForm } from "../rpc/connect/target.ts";

/** Answers requests of HTTP. */
type Listener = (request: HttpRequest, response: HttpResponse) => void;

/**
 * Has a listener answer below a path as it does at the root: for `/chat` it
 * gets `/chat/healthz` as `/healthz`. `/chat` itself leads to `/chat/`, as the
 * page names its files from there. All other requests stay as they are: health
 * checks, and clients of gRPC, in which a path is the name of an rpc and no
 * more, know of no path before it.
 *
 * @param basePath `/`, or a path that begins with a slash and does not end in one
 */
export function belowPath(basePath: string, listener: Listener): Listener {
  if (basePath === "/") return listener;
  // From the address that the browser knows: a proxy may have put its own path before.
  const location = `${basePath.slice(basePath.lastIndexOf("/") + 1)}/`;
  return (request, response) => {
    toOriginForm(request);
    const target = request.url ?? "";
    if (target.split("?", 1)[0] === basePath && (request.method === "GET" || request.method === "HEAD")) {
      response.writeHead(308, { location });
      response.end();
      return;
    }
    if (target.startsWith(`${basePath}/`)) request.url = target.slice(basePath.length);
    listener(request, response);
  };
}
