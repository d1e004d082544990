/** Blocks of headers of HTTP/2, of bytes that no client of gRPC would send. */

import fc from "fast-check";
import { anyCall } from "../bad-input/arbitraries.ts";

const bytes = fc.array(fc.nat(255), { maxLength: 30 }).map((codes) => String.fromCharCode(...codes));
const printable = fc.string({ maxLength: 20 });
const name = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      "authorization",
      "parlance-device",
      "user-agent",
      "te",
      "grpc-timeout",
      "grpc-encoding",
      "grpc-trace-bin",
      "x-parlance-call",
      "content-type",
      "content-length",
      "cookie",
      "host",
      "range",
      "connection",
      "x!y",
    ),
  },
  printable,
  bytes,
);
const value = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "Bearer TOKEN",
      "application/grpc",
      "1S",
      "99999999H",
      "gzip",
      "trailers",
      "5",
    ),
  },
  printable,
  bytes,
);
const strange = fc.tuple(name, value);

/** The headers of a call: names and values in order, of characters that stand for bytes each. `TOKEN` is to be replaced by a token. */
export const headerList: fc.Arbitrary<[string, string][]> = fc
  .record({
    method: fc.oneof(
      { weight: 8, arbitrary: fc.constant("POST") },
      fc.constantFrom("GET", "CONNECT", "OPTIONS", ""),
      bytes,
    ),
    path: fc.oneof(
      { weight: 6, arbitrary: anyCall.map(({ path }) => path) },
      fc.constantFrom(
        "/",
        "*",
        "",
        "constructor",
        "/grpc.health.v1.Health/Check",
        "/parlance.chat.v1.ChatService/Stream",
      ),
      bytes,
    ),
    authority: fc.oneof({ weight: 4, arbitrary: fc.constant("localhost") }, bytes),
    contentType: fc.constantFrom(
      "application/grpc",
      "application/json",
      "application/grpc-web+proto",
      "application/connect+json",
    ),
    more: fc.array(strange, { maxLength: 6 }),
    order: fc.boolean(),
  })
  .map(({ method, path, authority, contentType, more, order }) => {
    const usual: [string, string][] = [
      [":method", method],
      [":scheme", "http"],
      [":path", path],
      [":authority", authority],
      ["content-type", contentType],
      ["authorization", "Bearer TOKEN"],
    ];
    return order ? [...usual, ...more] : [...more, ...usual];
  });
