import { cors } from "@connectrpc/connect";
import type { HttpRequest, HttpResponse } from "../rpc/connect/http-call.ts";

/** How long a browser may remember what it was allowed, in seconds. */
const maxAgeSeconds = 7_200;
/** The headers that tracing libraries add to the requests of a page. The server does not read them. */
const tracingHeaders = [
  ...["Traceparent", "Tracestate", "Baggage", "Sentry-Trace", "X-Request-Id", "X-Correlation-Id"],
  ...["B3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags"],
  ...["X-Datadog-Trace-Id", "X-Datadog-Parent-Id", "X-Datadog-Origin", "X-Datadog-Sampling-Priority"],
];
const allowedHeaders = [...cors.allowedHeaders, "Authorization", "Parlance-Device", ...tracingHeaders].join(
  ", ",
);
const exposedHeaders = [...cors.exposedHeaders, "Parlance-Epoch"].join(", ");

/** Lets pages of other origins call the server. */
export interface Cors {
  /**
   * Sets the headers that tell a browser what it may do with the response.
   *
   * @returns whether the request may be carried out: no page of a foreign origin made it
   */
  admit(request: HttpRequest, response: HttpResponse): boolean;
  /** Answers a browser that asks before it makes a request. Returns whether it did. */
  answerPreflight(request: HttpRequest, response: HttpResponse): boolean;
}

/** @param origins such as `https://chat.example`; `*` is all. The server's own origin is always allowed */
export function createCors(origins: readonly string[]): Cors {
  const all = origins.includes("*");
  const allowed = new Set(origins);

  return {
    admit(request, response) {
      const { origin } = request.headers;
      if (origin === undefined) return true;
      response.setHeader("vary", "Origin");
      if (all || allowed.has(origin)) {
        response.setHeader("access-control-allow-origin", origin);
        response.setHeader("access-control-expose-headers", exposedHeaders);
        return true;
      }
      return isOwn(origin, request);
    },
    answerPreflight({ method, headers }, response) {
      if (method !== "OPTIONS" || headers["access-control-request-method"] === undefined) return false;
      response.writeHead(204, {
        "access-control-allow-methods": "POST, GET",
        "access-control-allow-headers": allowedHeaders,
        "access-control-max-age": String(maxAgeSeconds),
      });
      response.end();
      return true;
    },
  };
}

/** Whether a page of this server makes the request, by the browser's word or by the host's name. */
function isOwn(origin: string, { headers }: HttpRequest): boolean {
  const host = URL.parse(origin)?.host;
  return headers["sec-fetch-site"] === "same-origin" || (host !== undefined && host === hostOf({ headers }));
}

/** The host that a request names, with its port if it is not the scheme's own. */
export function hostOf({ headers }: Pick<HttpRequest, "headers">): string | undefined {
  const authority = headers[":authority"];
  return typeof authority === "string" ? authority : headers.host;
}
