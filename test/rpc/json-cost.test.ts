import { create, fromBinary, fromJsonString, toBinary, toJson, toJsonString } from "@bufbuild/protobuf";
import { type BytesValue, BytesValueSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { SendDirectRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ListMessagesResponseSchema } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { fromJsonForm, jsonOptions, toJsonForm } from "../../src/rpc/connect/json.ts";
import { jsonSchemaOf } from "../../src/rpc/connect/json-schemas.ts";

const contentBytes = 65_000;
const custom = { typeUrl: "acme/acme.Photo", value: new Uint8Array(contentBytes).fill(0xa5) };
const content = { kind: { case: "custom" as const, value: custom } };

/** The CPU time of this process that some work takes, in milliseconds: the least of three times. */
function cpuMs(work: () => unknown): number {
  const times = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...times);
}

test("a page of large content in JSON costs a small part of what the library's base64 does", () => {
  const count = 32;
  const page = toBinary(
    ListMessagesResponseSchema,
    create(ListMessagesResponseSchema, { messages: Array.from({ length: count }, () => ({ content })) }),
  );
  const ours = cpuMs(() => {
    const message = toJsonForm(ListMessagesResponseSchema, fromBinary(ListMessagesResponseSchema, page));
    return toJsonString(jsonSchemaOf(ListMessagesResponseSchema), message, jsonOptions);
  });
  const values: BytesValue[] = Array.from({ length: count }, () => create(BytesValueSchema, custom));
  const librarys = cpuMs(() => JSON.stringify(values.map((value) => toJson(BytesValueSchema, value))));
  expect(ours).toBeLessThan(librarys / 10);
});

test("a request with large content in JSON costs no more than to parse its text and decode it, ten times over", () => {
  const base64 = Buffer.from(custom.value).toString("base64");
  const text = JSON.stringify({ content: { custom: { "@type": custom.typeUrl, value: base64 } } });
  const schema = jsonSchemaOf(SendDirectRequestSchema);
  const repeat = (work: () => unknown) => () => {
    for (let n = 0; n < 50; n++) work();
  };
  const ours = cpuMs(repeat(() => fromJsonForm(schema, fromJsonString(schema, text, jsonOptions))));
  const least = cpuMs(repeat(() => Buffer.from(JSON.parse(text).content.custom.value, "base64")));
  expect(ours).toBeLessThan(10 * least + 10);
});
