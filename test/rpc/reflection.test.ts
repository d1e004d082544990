import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type ClientError, createChannel, createClient, createServer, Status } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import type {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import { ChatError, ErrorReason } from "../../src/model/errors.ts";
import { toServerError } from "../../src/net/errors.ts";
import { createHealth } from "../../src/rpc/health.ts";
import { createReflection } from "../../src/rpc/reflection.ts";
import { toDefinition } from "../../wire/definition.ts";

const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const run = promisify(execFile);

type Answer = ServerReflectionResponse["messageResponse"];

async function start() {
  const { sendDirect, stream } = toDefinition(ChatService);
  const health = createHealth([]);
  health.setServing(true);
  const reflections = createReflection([ChatService, GroupService, Health]);
  const server = createServer();
  for (const { definition, implementation } of reflections) server.add(definition, implementation);
  server.add(health.definition, health.implementation);
  server.add(
    { sendDirect, stream },
    {
      async sendDirect(_, { trailer }) {
        const violations = [
          { field: "recipient_id", rule: "string.min_bytes", description: "must be at least 1 bytes" },
        ];
        const error = new ChatError(ErrorReason.INVALID_REQUEST, "bad", { violations, retryAfterMs: 2_000 });
        throw toServerError(error, trailer, () => {});
      },
      async *stream(requests) {
        for await (const { requestId } of requests) yield { events: [{ requestId }] };
      },
    },
  );
  const port = await server.listen("127.0.0.1:0");
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => {
    channel.close();
    server.forceShutdown();
  });

  return {
    /** Runs `buf curl`, which knows nothing but the address. */
    async curl(path: string, ...options: string[]) {
      const args = [
        "curl",
        "--http2-prior-knowledge",
        "--protocol",
        "grpc",
        ...options,
        `http://127.0.0.1:${port}${path}`,
      ];
      const { stdout } = await run(buf, args).catch((error) => ({ stdout: error.stdout + error.stderr }));
      return stdout;
    },
    /** Asks each version of the service, on one stream. */
    async ask(...asked: Array<ServerReflectionRequest["messageRequest"]>) {
      async function* requests() {
        for (const messageRequest of asked) yield { host: "h", messageRequest };
      }
      const [v1 = [], v1alpha] = await Promise.all(
        reflections.map(async ({ definition }) => {
          const answers: Answer[] = [];
          const responses = createClient(definition, channel).serverReflectionInfo(requests());
          for await (const { messageResponse } of responses) answers.push(messageResponse);
          return answers;
        }),
      );
      expect(v1).toEqual(v1alpha);
      return v1;
    },
  };
}

/** The names of the files of an answer. */
function fileNames(answer: Answer | undefined): string[] {
  if (answer?.case !== "fileDescriptorResponse") throw new Error(`no files but ${answer?.case}`);
  return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

describe("buf curl, without any files,", () => {
  test.each(["grpc-v1", "grpc-v1alpha"])("lists services and methods by %s", async (version) => {
    const { curl } = await start();
    const services = await curl("", "--list-services", "--reflect-protocol", version);
    expect(services.trim().split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "parlance.chat.v1.ChatService",
      "parlance.chat.v1.GroupService",
    ]);
    const methods = await curl("", "--list-methods", "--reflect-protocol", version);
    expect(methods).toContain("parlance.chat.v1.ChatService/Stream");
  });

  test("calls a method and streams both ways", async () => {
    const { curl } = await start();
    expect(JSON.parse(await curl("/grpc.health.v1.Health/Check"))).toEqual({ status: "SERVING" });
    const streamed = await curl("/parlance.chat.v1.ChatService/Stream", "-d", '{"request_id":"1","ping":{}}');
    expect(JSON.parse(streamed)).toEqual({ events: [{ requestId: "1" }] });
  });

  test("prints the code, message and details of an error", async () => {
    const { curl } = await start();
    const { code, message, details } = JSON.parse(
      await curl("/parlance.chat.v1.ChatService/SendDirect", "-d", "{}"),
    );
    expect({ code, message }).toEqual({ code: "invalid_argument", message: "bad" });
    expect(details.map(({ type }: { type: string }) => type)).toEqual([
      "google.rpc.ErrorInfo",
      "google.rpc.BadRequest",
      "google.rpc.RetryInfo",
    ]);
  });
});

test("a symbol is found whatever its kind, with everything its file imports", async () => {
  const { ask } = await start();
  const symbols = [
    ["parlance.chat.v1.ChatService", "parlance/chat/v1/chat_service.proto"],
    ["parlance.chat.v1.ChatService.SendDirect", "parlance/chat/v1/chat_service.proto"],
    ["parlance.chat.v1.StreamRequest.request", "parlance/chat/v1/chat_service.proto"],
    ["parlance.chat.v1.TEXT_STYLE_BOLD", "parlance/chat/v1/content.proto"],
    ["google.rpc.BadRequest.FieldViolation", "google/rpc/error_details.proto"],
    ["google.rpc.Status", "google/rpc/status.proto"],
    ["buf.validate.field", "buf/validate/validate.proto"],
    ["grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"],
    ["google.protobuf.FileDescriptorProto", "google/protobuf/descriptor.proto"],
  ] as const;
  for (const [symbol, file] of symbols) {
    const [answer] = await ask({ case: "fileContainingSymbol", value: symbol });
    expect(fileNames(answer)[0]).toBe(file);
  }
  const [answer] = await ask({ case: "fileContainingSymbol", value: "parlance.chat.v1.ChatService" });
  expect(fileNames(answer)).toEqual(
    expect.arrayContaining(["google/protobuf/timestamp.proto", "parlance/chat/v1/cursor.proto"]),
  );
});

test("a stream gets a file that others import only once, and every import by its name", async () => {
  const { ask } = await start();
  const [first, second] = await ask(
    { case: "fileByFilename", value: "parlance/chat/v1/chat_service.proto" },
    { case: "fileByFilename", value: "parlance/chat/v1/group_service.proto" },
  );
  const names = fileNames(first);
  expect(fileNames(second).filter((name) => names.includes(name))).toEqual([]);
  for (const name of names) {
    const [answer] = await ask({ case: "fileByFilename", value: name });
    expect(fileNames(answer)[0]).toBe(name);
  }
});

test("options are kept: the rules of a field can be read", async () => {
  const { ask } = await start();
  const [answer] = await ask({ case: "fileContainingSymbol", value: "parlance.chat.v1.SendDirectRequest" });
  const bytes = answer?.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto[0] : undefined;
  const file = fromBinary(FileDescriptorProtoSchema, bytes ?? new Uint8Array());
  const field = file.messageType.find(({ name }) => name === "SendDirectRequest")?.field[0];
  expect(field?.options?.$unknown?.map(({ no }) => no)).toEqual([1159]);
});

test("extensions are found by number and listed by type", async () => {
  const { ask } = await start();
  const [file, numbers, none] = await ask(
    {
      case: "fileContainingExtension",
      value: {
        $typeName: "grpc.reflection.v1.ExtensionRequest",
        containingType: "google.protobuf.FieldOptions",
        extensionNumber: 1159,
      },
    },
    { case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" },
    { case: "allExtensionNumbersOfType", value: "parlance.chat.v1.Text" },
  );
  expect(fileNames(file)[0]).toBe("buf/validate/validate.proto");
  expect(numbers).toMatchObject({
    value: { baseTypeName: "google.protobuf.FieldOptions", extensionNumber: expect.arrayContaining([1159]) },
  });
  expect(none).toMatchObject({ value: { baseTypeName: "parlance.chat.v1.Text", extensionNumber: [] } });
});

test("what is not there is an answer with an error, and the stream goes on", async () => {
  const { ask } = await start();
  const extension = {
    $typeName: "grpc.reflection.v1.ExtensionRequest" as const,
    containingType: "a.B",
    extensionNumber: 1,
  };
  const answers = await ask(
    { case: "fileByFilename", value: "no.proto" },
    { case: "fileContainingSymbol", value: "no.Symbol" },
    { case: "fileContainingExtension", value: extension },
    { case: "allExtensionNumbersOfType", value: "no.Type" },
    { case: undefined },
    { case: "listServices", value: "" },
  );
  expect(
    answers.map((answer) => (answer.case === "errorResponse" ? answer.value.errorCode : answer.case)),
  ).toEqual([5, 5, 5, 5, 3, "listServicesResponse"]);
});

test("asking for the same files again and again ends with RESOURCE_EXHAUSTED", async () => {
  const { ask } = await start();
  const one = { case: "fileContainingSymbol" as const, value: "parlance.chat.v1.ChatService" };
  const asked = ask(...Array(5_000).fill(one)).then(
    () => "answered",
    (error: ClientError) => error.code,
  );
  expect(await asked).toBe(Status.RESOURCE_EXHAUSTED);
});
