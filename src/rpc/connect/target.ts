import type { HttpRequest } from "./http-call.ts";

/**
 * Makes a request that names its target whole, as those to a proxy do (`GET
 * http://chat.example/healthz`), one that names a path. The host is then the
 * one of the target, whatever the header says (RFC 9112 section 3.2.2).
 */
export function toOriginForm(request: HttpRequest): void {
  const { url = "" } = request;
  if (!/^https?:\/\//i.test(url)) return;
  const target = URL.parse(url);
  if (target === null) return;
  request.url = target.pathname + target.search;
  request.headers.host = target.host;
}
