import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { lookup } from "mrmime";
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

/** A file as it is answered. */
interface File {
  content: Buffer;
  headers: Readonly<Record<string, string | number>>;
}

/**
 * Serves the files of a folder, `index.html` for `/`. They are read once, at
 * the start, so that no request touches the disk: nothing else can be asked
 * for, and a folder that is built anew meanwhile breaks no answer. Files that
 * begin with a dot are left out. Ranges are not served, as RFC 9110 section
 * 14.2 allows.
 */
export function serveFiles(folder: string): ServeFile {
  const files = readFiles(folder);
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return false;
    const path = request.url?.split("?", 1)[0] ?? "";
    const file = files.get(path === "/" ? "/index.html" : path);
    if (file === undefined) return false;
    const { content, headers } = file;
    const known = request.headers["if-none-match"]?.includes(headers["etag"] as string) ?? false;
    response.writeHead(known ? 304 : 200, known ? headers : { ...headers, "content-length": content.length });
    response.end(known || request.method === "HEAD" ? undefined : content);
    return true;
  };
}

function readFiles(folder: string): Map<string, File> {
  const files = new Map<string, File>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    const path = full.slice(folder.length).split(sep).join("/").replace(/^\/?/, "/");
    if (path.includes("/.")) continue;
    const content = readFileSync(full);
    files.set(path, { content, headers: headersOf(path, content) });
  }
  return files;
}

function headersOf(path: string, content: Buffer): Record<string, string> {
  const type = lookup(path) ?? "application/octet-stream";
  return {
    "content-type": type.startsWith("text/") ? `${type};charset=utf-8` : type,
    etag: `"${createHash("sha256").update(content).digest("base64url")}"`,
    "content-security-policy": contentSecurityPolicy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": hashedAsset.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
  };
}
