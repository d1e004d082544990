import { constants, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { errorOfCall, hadNoEffect } from "../../clients/typescript/errors.ts";

/** Calls a server that resets every call with a code of HTTP/2, and returns what the SDK makes of it. */
async function errorOfReset(code: number) {
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.close(code);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  onTestFinished(() => {
    client.close();
    server.close();
  });
  const bytes = Buffer.alloc(0);
  const same = (value: Buffer) => value;
  const error = await new Promise<ServiceError | null>((resolve) => {
    client.makeUnaryRequest("/a.Service/Call", same, same, bytes, new Metadata(), {}, (failed) =>
      resolve(failed),
    );
  });
  return errorOfCall(error?.code as number, error?.details ?? "", undefined);
}

test("a call that the server refused, as one that drains does, had no effect and may be made again", async () => {
  expect(hadNoEffect(await errorOfReset(constants.NGHTTP2_REFUSED_STREAM))).toBe(true);
});

test("a call that was reset in any other way may have had one", async () => {
  for (const code of [constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR])
    expect(hadNoEffect(await errorOfReset(code))).toBe(false);
});
