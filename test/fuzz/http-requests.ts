/** Requests of HTTP/1.1 as bytes, valid in most of their parts and strange in some. */

import fc from "fast-check";
import { anyCall } from "../bad-input/arbitraries.ts";

const rpcPaths = [
  "ChatService/Login",
  "ChatService/SendDirect",
  "ChatService/Listen",
  "MessageService/ListMessages",
];

/** Text of which each character stands for one byte, without those that end a line. */
const rawBytes = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 10 && byte !== 13),
    { maxLength: 40 },
  )
  .map((bytes) => String.fromCharCode(...bytes));
const utf8Text = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .map((text) => Buffer.from(text.replace(/[\r\n\0]/g, "")).toString("latin1"));
const token = fc
  .array(fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~"), { minLength: 1, maxLength: 20 })
  .map((chars) => chars.join(""));

const method = fc.oneof(
  { weight: 6, arbitrary: fc.constant("POST") },
  {
    weight: 3,
    arbitrary: fc.constantFrom("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"),
  },
  fc.constantFrom("PRI", "QUERY", "PROPFIND", "M-SEARCH", "get"),
  token,
);

const target = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...rpcPaths).map((path) => `/parlance.chat.v1.${path}`) },
  { weight: 2, arbitrary: anyCall.map(({ path }) => path) },
  fc.constantFrom("/", "/index.html", "/healthz", "/readyz", "/openapi.json", "/grpc.health.v1.Health/Check"),
  fc.constantFrom(
    "*",
    "//",
    "/%",
    "/%E0%A4%A",
    "/..%2f..",
    "/__proto__",
    "http://localhost/",
    "localhost:80",
    "/#",
  ),
  fc
    .tuple(fc.constantFrom("/", "/?", "/parlance.chat.v1.ChatService/Login?"), rawBytes)
    .map((parts) => parts.join("")),
);

const knownNames = fc.constantFrom(
  ..."accept-encoding authorization connect-accept-encoding connect-content-encoding connect-protocol-version".split(
    " ",
  ),
  ..."connect-timeout-ms content-encoding content-length content-type cookie expect forwarded grpc-encoding".split(
    " ",
  ),
  ..."grpc-timeout host if-none-match if-range origin parlance-device range sec-fetch-site te trailer".split(
    " ",
  ),
  ..."transfer-encoding upgrade user-agent via x-forwarded-for x-grpc-web x-parlance-call x-parlance-user".split(
    " ",
  ),
  "access-control-request-method",
  "access-control-request-headers",
);
const knownValues = fc.constantFrom(
  ..."identity gzip br deflate chunked trailers 100-continue websocket h2c close keep-alive 0 1 -1 99999999999999".split(
    " ",
  ),
  ..."9x 99999999H 1n bytes=5-2 bytes=0- bytes=-1 application/json application/grpc application/proto null *".split(
    " ",
  ),
  "application/grpc-web+proto",
  "application/grpc-web-text",
  'application/json; charset="utf-8"',
  "application/connect+json",
  "Bearer x",
  "bearer  ",
  "127.0.0.1, ::1",
  "http://localhost",
);
const header = fc
  .tuple(
    fc.oneof({ weight: 5, arbitrary: knownNames }, token, rawBytes),
    fc.constantFrom(": ", ":", ":\t", " : "),
    fc.oneof({ weight: 4, arbitrary: knownValues }, rawBytes, utf8Text, fc.constant("y".repeat(9_000))),
  )
  .map((parts) => parts.join(""));

const body = fc.oneof(
  fc.constantFrom(
    "",
    "{}",
    "[]",
    "{",
    '{"devUserId":"alice"}',
    '{"devUserId":"\\ud800"}',
    "null",
    "\0\0\0\0\0",
  ),
  fc.json().map((json) => Buffer.from(json).toString("latin1")),
  anyCall.map(({ request }) => Buffer.from(request).toString("latin1")),
);
const trailers = fc.array(header, { maxLength: 3 });

/** A request and what comes after it on its connection. `TOKEN` in it is to be replaced by a token. */
export const httpRequest: fc.Arbitrary<string> = fc
  .record({
    method,
    target,
    version: fc.oneof(
      { weight: 12, arbitrary: fc.constant("1.1") },
      fc.constantFrom("1.0", "0.9", "2.0", "9.9", ""),
    ),
    headers: fc.array(header, { maxLength: 6 }),
    contentType: fc.constantFrom(
      "application/json",
      "application/proto",
      "application/grpc-web+proto",
      "application/grpc",
    ),
    signedIn: fc.boolean(),
    framing: fc.constantFrom("length", "chunked", "none", "short"),
    body,
    trailers,
  })
  .map((request) => {
    const { framing, body } = request;
    const lengths = {
      length: [`Content-Length: ${body.length}`],
      chunked: ["Transfer-Encoding: chunked"],
      none: [],
      // Longer than it says; the rest is taken for another request.
      short: [`Content-Length: ${Math.floor(body.length / 2)}`],
    };
    const head = [
      `${request.method} ${request.target} HTTP/${request.version}`,
      "Host: localhost",
      "Connection: close",
      `Content-Type: ${request.contentType}`,
      ...(request.signedIn ? ["Authorization: Bearer TOKEN"] : []),
      ...lengths[framing],
      ...request.headers,
    ];
    const sent =
      framing === "chunked"
        ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n${request.trailers.map((line) => `${line}\r\n`).join("")}\r\n`
        : body;
    return `${head.join("\r\n")}\r\n\r\n${sent}`;
  });

/** Tells whether an answer puts a fault of the client on the server. Statuses that HTTP itself has for odd requests do not. */
export function isServerFault(answer: string): boolean {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
  if (status >= 500 && status !== 501 && status !== 505) return true;
  return (
    /"code":\s*"(internal|unknown|data_loss)"/.test(answer) || /^grpc-status: (2|13|15)\r$/im.test(answer)
  );
}
