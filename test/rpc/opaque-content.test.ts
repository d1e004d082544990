import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Any,
  AnySchema,
  anyPack,
  BoolValueSchema,
  BytesValueSchema,
  DoubleValueSchema,
  DurationSchema,
  EmptySchema,
  FieldMaskSchema,
  Int64ValueSchema,
  ListValueSchema,
  StringValueSchema,
  StructSchema,
  TimestampSchema,
  UInt32ValueSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { ContentSchema } from "../../gen/parlance/chat/v1/content_pb.js";
import { formatJson } from "../../src/cli/tail.ts";
import { httpClients } from "../connect/clients.ts";
import { failureOf } from "../support/errors.ts";
import { accepted, type Ports, readBack } from "../support/read-back.ts";
import { startTestServer, type TestServer, type UserClients } from "../support/server.ts";

const google = "type.googleapis.com/";
const garbage = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x07, 0x80);
const raw = (typeUrl: string, value: Uint8Array = garbage) => create(AnySchema, { typeUrl, value });

/** Each kind of content that only clients understand, the honest and the broken. */
const kinds: Record<string, Any> = {
  "a type that the server does not know": raw("type.googleapis.com/acme.Order", Uint8Array.of(8, 150, 1)),
  "a type without a host": raw("acme.Order", Uint8Array.of(8, 150, 1)),
  "a type with a long path": raw("https://types.example/a/b/c/acme.Order"),
  "no bytes": raw("acme/acme.Empty", new Uint8Array()),
  "a Struct": anyPack(StructSchema, create(StructSchema, { fields: { a: textValue("b") } })),
  "a Value": anyPack(ValueSchema, textValue("x")),
  "a ListValue": anyPack(ListValueSchema, create(ListValueSchema, { values: [textValue("x")] })),
  "a Duration": anyPack(DurationSchema, create(DurationSchema, { seconds: 5n })),
  "a FieldMask": anyPack(FieldMaskSchema, create(FieldMaskSchema, { paths: ["a_b", "A"] })),
  "an Any": anyPack(AnySchema, anyPack(StringValueSchema, create(StringValueSchema, { value: "x" }))),
  "an Empty": anyPack(EmptySchema, create(EmptySchema)),
  "a Timestamp": anyPack(TimestampSchema, create(TimestampSchema, { seconds: 1_800_000_000n })),
  "a Timestamp beyond all time": anyPack(TimestampSchema, create(TimestampSchema, { seconds: 2n ** 62n })),
  "a StringValue": anyPack(StringValueSchema, create(StringValueSchema, { value: "x" })),
  "a BytesValue": anyPack(BytesValueSchema, create(BytesValueSchema, { value: garbage })),
  "a number that is none": anyPack(DoubleValueSchema, create(DoubleValueSchema, { value: Number.NaN })),
  "an Int64Value": anyPack(Int64ValueSchema, create(Int64ValueSchema, { value: -(2n ** 63n) })),
  "a UInt32Value and a BoolValue in one": raw(
    `${google}google.protobuf.BoolValue`,
    Buffer.concat([
      toBinary(UInt32ValueSchema, create(UInt32ValueSchema, { value: 7 })),
      toBinary(BoolValueSchema, create(BoolValueSchema, { value: true })),
    ]),
  ),
  "an ErrorInfo": anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "FORGED", domain: "parlance" })),
  "garbage as a Timestamp": raw(`${google}google.protobuf.Timestamp`),
  "garbage as a StringValue": raw(`${google}google.protobuf.StringValue`),
  "garbage as an ErrorInfo": raw(`${google}google.rpc.ErrorInfo`),
  "garbage as a RetryInfo": raw(`${google}google.rpc.RetryInfo`),
  "garbage as a Struct": raw(`${google}google.protobuf.Struct`),
  "a type with the name of a property": raw("acme/__proto__"),
  "a message of the contract": anyPack(
    ContentSchema,
    create(ContentSchema, { kind: { case: "text", value: { body: "x" } } }),
  ),
};

function textValue(text: string) {
  return create(ValueSchema, { kind: { case: "stringValue", value: text } });
}

let server: TestServer;
let ports: Ports;
let ada: UserClients;
beforeAll(async () => {
  server = await startTestServer();
  ports = { grpc: server.address, http: server.server.httpAddress as string };
  ada = await server.login("ada");
});
afterAll(() => server.close());

describe("B46: content that is not text is read back as it was sent, by every client:", () => {
  test.each(Object.entries(kinds))("%s", async (name, value) => {
    const recipientId = `reader of ${name}`;
    const request = {
      recipientId,
      content: { kind: { case: "custom" as const, value }, fallbackText: "?" },
    };
    const sent = [accepted("ada", request, (await ada.chat.sendDirect(request)).result)];
    for (const way of ["Connect, JSON, over HTTP/1.1", "Connect over HTTP/2"] as const) {
      const clients = httpClients(way, ports.http, { authorization: `Bearer ${ada.token}` });
      sent.push(accepted("ada", request, (await clients.chat.sendDirect(request)).result));
      clients.close();
    }
    expect(await readBack(ports, recipientId, sent)).toEqual([]);
    for (const { message } of sent) {
      const line = JSON.parse(
        formatJson({ case: "message", value: message, cursor: undefined, place: message }),
      );
      const base64 = Buffer.from(value.value).toString("base64");
      expect(line.message.content.custom).toEqual({ "@type": value.typeUrl, value: base64 });
    }
  });
});

describe("content of a type without a name is refused on send:", () => {
  test.each(["", "acme/", "/", "acme/ ", "acme.Order/"])("%j", async (typeUrl) => {
    const content = { kind: { case: "custom" as const, value: raw(typeUrl) } };
    const failure = await failureOf((options) =>
      ada.chat.sendDirect({ recipientId: "nobody", content }, options),
    );
    expect(failure).toMatchObject({
      code: "INVALID_ARGUMENT",
      reasonName: "INVALID_REQUEST",
      violations: [{ field: "content.custom.type_url", rule: "type_name" }],
    });
    const inJson = await send(`{"@type":${JSON.stringify(typeUrl)},"value":"AA=="}`);
    expect(inJson).toMatchObject({ code: "invalid_argument", details: [{ debug: {} }, {}] });
    expect(JSON.stringify(inJson)).toContain("content.custom.type_url");
  });
});

describe("in JSON, an Any is its type and its bytes in base64; refused is one that", () => {
  test.each([
    ["has no value", `{"@type":"acme/Order"}`],
    ["has no type", `{"value":"AA=="}`],
    ["has nothing", `{}`],
    ["is unpacked", `{"@type":"${google}google.rpc.ErrorInfo","reason":"X"}`],
    ["has a time as a text", `{"@type":"${google}google.protobuf.Timestamp","value":"2027-01-01T00:00:00Z"}`],
    ["has an object for its value", `{"@type":"${google}google.protobuf.Struct","value":{"a":"b"}}`],
    ["has more than that", `{"@type":"acme/Order","value":"AA==","more":1}`],
    ["has a number for its type", `{"@type":5,"value":"AA=="}`],
    ["is no base64", `{"@type":"acme/Order","value":"A"}`],
    ["has padding in its middle", `{"@type":"acme/Order","value":"AA==AA=="}`],
    ["is a text", `"AA=="`],
    ["is a list", `[]`],
  ])("%s", async (_, custom) => {
    const answer = await send(custom);
    expect(answer).toMatchObject({ code: "invalid_argument", details: [{ type: "google.rpc.ErrorInfo" }] });
    expect(answer.details?.[0]?.debug?.reason).toBe("UNDECODABLE_REQUEST");
  });

  test.each([
    ["base64", "+/+/"],
    ["base64 for URLs", "-_-_"],
    ["base64 without padding", "AA"],
  ])("%s is taken", async (_, value) => {
    expect(await send(`{"@type":"acme/Order","value":"${value}"}`)).toHaveProperty("result");
  });
});

interface ErrorJson {
  code?: string;
  details?: { type: string; debug?: { reason?: string } }[];
}

/** Sends content in JSON and returns the answer. */
async function send(custom: string): Promise<ErrorJson> {
  const response = await fetch(`http://${ports.http}/parlance.chat.v1.ChatService/SendDirect`, {
    method: "POST",
    headers: { authorization: `Bearer ${ada.token}`, "content-type": "application/json" },
    body: `{"recipientId":"bob","content":{"custom":${custom}}}`,
  });
  return (await response.json()) as ErrorJson;
}
