import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { createChannel, createClient, createServer, type Metadata, ServerError, Status } from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ChatError, ErrorReason } from "../../src/model/errors.ts";
import { statusOf, toServerError, toStatus } from "../../src/net/errors.ts";
import { toDefinition } from "../../wire/definition.ts";
import { readErrorDetails, statusDetailsKey } from "../../wire/error-details.ts";

const { sendDirect } = toDefinition(ChatService);

function neverReport(): never {
  throw new Error("a known error was reported as unexpected");
}

/** Calls a server whose handler throws this, and returns what the client gets. */
async function callThatThrows(thrown: unknown) {
  const report = vi.fn();
  const server = createServer();
  server.add(
    { sendDirect },
    {
      async sendDirect(_, { trailer }) {
        throw toServerError(thrown, trailer, report);
      },
    },
  );
  const port = await server.listen("127.0.0.1:0");
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => {
    channel.close();
    server.forceShutdown();
  });
  let trailer: Metadata | undefined;
  const call = createClient({ sendDirect }, channel).sendDirect(
    {},
    { onTrailer: (metadata) => (trailer = metadata) },
  );
  const error = await call.catch((caught) => caught);
  const bytes = trailer?.get(statusDetailsKey);
  return { error, bytes, details: readErrorDetails(bytes), report };
}

describe("a refusal", () => {
  test("reaches the client with its code, message, reason and every detail", async () => {
    const { error, details, report } = await callThatThrows(
      new ChatError(ErrorReason.GROUP_FULL, "the group has 500 members, as many as it may have", {
        violations: [
          { field: "content.text.body", rule: "string.min_bytes", description: "must be at least 1 bytes" },
        ],
        quota: { subject: "group:g1", description: "500 members" },
        retryAfterMs: 1_500,
        metadata: { group_id: "g1" },
      }),
    );
    expect(error).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      details: "the group has 500 members, as many as it may have",
    });
    expect(details).toEqual({
      reason: ErrorReason.GROUP_FULL,
      reasonName: "GROUP_FULL",
      metadata: { group_id: "g1" },
      violations: [
        { field: "content.text.body", rule: "string.min_bytes", description: "must be at least 1 bytes" },
      ],
      retryAfterMs: 1_500,
      quota: { subject: "group:g1", description: "500 members" },
    });
    expect(report).not.toHaveBeenCalled();
  });

  test("says the same on a stream as on a call", async () => {
    const refused = new ChatError(ErrorReason.NOT_A_MEMBER, "you are not a member of the group");
    const { error, bytes } = await callThatThrows(refused);
    const status = toStatus(refused, neverReport);
    expect(fromBinary(StatusSchema, Uint8Array.from(bytes ?? []))).toEqual(status);
    expect(status).toMatchObject({ code: error.code, message: error.details });
  });

  test("stays below what clients take as headers, however much is wrong", async () => {
    const violations = Array.from({ length: 500 }, (_, n) => ({
      field: `options.labels["${"😀".repeat(10_000)}${n}"]`,
      rule: "string.max_bytes",
      description: "must be at most 64 bytes",
    }));
    const { error, bytes, details } = await callThatThrows(
      new ChatError(ErrorReason.INVALID_REQUEST, violations[0]?.field ?? "", { violations }),
    );
    expect(error.code).toBe(Status.INVALID_ARGUMENT);
    expect(details.violations).toHaveLength(10);
    expect((bytes?.length ?? 0) * (4 / 3) + encodeURI(error.details).length).toBeLessThan(8_192);
  });

  test("survives a lone surrogate in its message", async () => {
    const { error } = await callThatThrows(new ChatError(ErrorReason.GROUP_NOT_FOUND, "no group \ud83d"));
    expect(error).toMatchObject({ code: Status.NOT_FOUND, details: "no group \ufffd" });
  });
});

describe("an unexpected error", () => {
  test("leaves as INTERNAL with nothing but the id under which it was reported", async () => {
    const cause = new Error("password=hunter2");
    const { error, details, report } = await callThatThrows(cause);
    const [errorId, reported] = report.mock.calls[0] ?? [];
    expect(reported).toBe(cause);
    expect(errorId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(error.code).toBe(Status.INTERNAL);
    expect(error.details).toContain(errorId);
    expect(error.details).not.toContain("hunter2");
    expect(details).toMatchObject({
      reason: ErrorReason.UNSPECIFIED,
      reasonName: "UNSPECIFIED",
      metadata: { error_id: errorId },
    });
    expect(details.violations).toEqual([]);
  });

  test.each([["text"], [undefined], [null], [{ code: 5 }]])(
    "may be any value that was thrown: %s",
    async (thrown) => {
      const { error, report } = await callThatThrows(thrown);
      expect(error.code).toBe(Status.INTERNAL);
      expect(report).toHaveBeenCalledOnce();
    },
  );
});

test("an abort is CANCELLED and not reported", () => {
  const { reason } = AbortSignal.abort();
  expect(toStatus(reason, neverReport)).toMatchObject({ code: Status.CANCELLED, details: [] });
});

test("a status that a handler chose itself is kept", () => {
  const chosen = new ServerError(Status.UNIMPLEMENTED, "not here");
  expect(toStatus(chosen, neverReport)).toMatchObject({ code: Status.UNIMPLEMENTED, message: "not here" });
});

test("every reason has a code that is an error", () => {
  for (const reason of Object.values(ErrorReason)) {
    if (typeof reason === "number") expect(statusOf[reason]).toBeGreaterThan(Status.OK);
  }
});

describe("a client that reads details", () => {
  const nothing = {
    reason: ErrorReason.UNSPECIFIED,
    reasonName: "",
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
    quota: undefined,
  };

  test("takes bytes that are no status for none", () => {
    expect(readErrorDetails(Uint8Array.of(255, 255))).toEqual(nothing);
    expect(readErrorDetails(undefined)).toEqual(nothing);
  });

  test("gets the name of a reason that is newer than itself", () => {
    const info = create(ErrorInfoSchema, { reason: "FROM_THE_FUTURE", domain: "parlance" });
    const bytes = toBinary(
      StatusSchema,
      create(StatusSchema, { code: 9, details: [anyPack(ErrorInfoSchema, info)] }),
    );
    expect(readErrorDetails(bytes)).toMatchObject({
      reason: ErrorReason.UNSPECIFIED,
      reasonName: "FROM_THE_FUTURE",
    });
  });

  test("ignores the reasons of other domains", () => {
    const info = create(ErrorInfoSchema, { reason: "GROUP_FULL", domain: "example.com" });
    const status = create(StatusSchema, { code: 8, details: [anyPack(ErrorInfoSchema, info)] });
    expect(readErrorDetails(status)).toEqual(nothing);
  });
});
