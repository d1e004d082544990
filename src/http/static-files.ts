import sirv from "sirv";
import type { HttpRequest, HttpResponse } from "../rpc/connect/http-call.ts";

/** Answers a request with a file if there is one for it. Returns whether it does. */
export type ServeFile = (request: HttpRequest, response: HttpResponse) => boolean;

/** All of a page comes from this server; nothing in it is evaluated, framed or sent elsewhere. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** As Vite names them: `assets/index-D1x2y3Z4.js`. Another content has another name. */
const hashedAsset = /^\/assets\/.+-[\w-]{8,}\.\w+$/;

/**
 * Serves the files of a folder, `index.html` for `/`. Files are listed once, at
 * the start; nothing outside that list can be asked for.
 */
export function serveFiles(folder: string): ServeFile {
  const serve = sirv(folder, {
    etag: true,
    dotfiles: false,
    setHeaders(response, path) {
      response.setHeader("content-security-policy", contentSecurityPolicy);
      response.setHeader("x-content-type-options", "nosniff");
      response.setHeader("referrer-policy", "no-referrer");
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader(
        "cache-control",
        hashedAsset.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
      );
    },
  });
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return false;
    let found = true;
    // It calls this at once, if at all.
    serve(request, response, () => {
      found = false;
    });
    return found;
  };
}
