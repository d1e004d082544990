/** The OpenAPI document against its own rules, and against what the server takes and gives. */

import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chatServices } from "../../wire/services.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

type Json = { [key: string]: unknown };

interface Operation {
  operationId: string;
  requestBody: { content: { "application/json": { schema: { $ref: string } } } };
  responses: {
    "200": { content: Record<string, { schema: Json & { contentSchema?: Json } }> };
  };
}

const document = JSON.parse(readFileSync("gen/openapi.json", "utf8")) as {
  paths: Record<string, { post: Operation }>;
  components: { schemas: Json };
};
const ajv = new Ajv2020({ strict: false, allErrors: true });
(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addFormat("int64", true).addFormat("int32", true);
ajv.addSchema({ ...document, $id: "openapi" });

/** Returns the validator of a schema in the document. */
function validatorOf(schema: Json): ValidateFunction {
  return ajv.compile({ ...schema, $ref: `openapi${schema.$ref}` });
}

function expectValid(schema: Json, value: unknown): void {
  const validate = validatorOf(schema);
  expect({ valid: validate(value), errors: validate.errors }).toEqual({ valid: true, errors: null });
}

const called = new Set<string>();
let server: TestServer;
let http: string;
let token = "";
beforeAll(async () => {
  server = await startTestServer();
  http = server.server.httpAddress as string;
});
afterAll(() => server.close());

/** Calls an rpc by JSON; request and answer have to be as the document says. */
async function call<Answer = Json>(name: string, request: Json): Promise<Answer> {
  const [path = "", item] = Object.entries(document.paths).find(([path]) => path.endsWith(`/${name}`)) ?? [];
  const { requestBody, responses } = (item as { post: Operation }).post;
  expectValid(requestBody.content["application/json"].schema, request);
  const response = await post(path, request);
  const answer = await response.json();
  expect({ status: response.status, answer }).toMatchObject({ status: 200 });
  expectValid(responses["200"].content["application/json"]?.schema as Json, answer);
  called.add(path);
  return answer as Answer;
}

function post(path: string, request: unknown): Promise<Response> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  return fetch(`http://${http}${path}`, { method: "POST", headers, body: JSON.stringify(request) });
}

test("the document is OpenAPI 3.1", async () => {
  const result = await new Validator().validate(structuredClone(document) as unknown as Json);
  expect(result).toMatchObject({ valid: true });
});

test("the document has all rpcs but Stream, each with what the protos say", () => {
  const methods = chatServices.flatMap(({ methods }) => methods).filter(({ name }) => name !== "Stream");
  const paths = Object.keys(document.paths).filter((path) => path.includes("."));
  expect(paths.sort()).toEqual(methods.map(({ parent, name }) => `/${parent.typeName}/${name}`).sort());
  const undescribed = JSON.stringify(document).match(/"description":""/g);
  expect(undescribed).toBeNull();
});

describe("real calls are as the document says:", () => {
  const text = (body: string) => ({
    text: { body, entities: [{ start: 0, length: 1, style: "TEXT_STYLE_BOLD" }] },
  });

  test("every rpc", async () => {
    const login = await call<{ sessionToken: string }>("Login", {
      devUserId: "ada",
      device: { deviceId: "laptop", platform: "PLATFORM_WEB" },
    });
    token = login.sessionToken;
    await call("SendDirect", {
      recipientId: "ben",
      content: text("Hello"),
      clientMessageId: "1",
      options: { labels: { a: "b" }, silent: true },
    });
    await call("SendDirect", {
      recipientId: "ben",
      content: {
        custom: { "@type": "type.googleapis.com/acme.Order", value: "CJYB" },
        fallbackText: "Order",
      },
    });
    await call("CreateGroup", {
      groupId: "g",
      name: "Group",
      memberIds: ["ben"],
      joinPolicy: "JOIN_POLICY_OPEN",
      attributes: { colour: "red" },
    });
    const { result } = await call<{ result: { messageId: string } }>("SendGroup", {
      groupId: "g",
      content: text("Hi"),
    });
    await call("GetGroup", { groupId: "g" });
    await call("UpdateGroup", { group: { groupId: "g", name: "Other" }, updateMask: "name" });
    await call("ListMembers", { groupId: "g", pageSize: 10 });
    await call("ListMyGroups", {});
    await call("AddMembers", { groupId: "g", userIds: ["cid", "dan"] });
    await call("RemoveMembers", { groupId: "g", userIds: ["dan"] });
    await call("UpdateMember", {
      member: { groupId: "g", userId: "ben", role: "ROLE_ADMIN" },
      updateMask: "role",
    });
    await call("BatchGetMembers", { groupId: "g", userIds: ["cid", "nobody"] });
    await call("GetMessage", { messageId: result.messageId });
    await call("ListMessages", { groupId: "g", pageSize: 100 });
    await call("ListMessages", { recipientId: "ben", afterSeq: "0", beforeTime: "2100-01-01T00:00:00Z" });
    await call("ListConversations", {});
    await call("GetConversation", { groupId: "g" });
    await call("MarkRead", { conversationId: "g:g", upToSeq: "1" });
    await call("MarkAllRead", {});
    await call("GetPresence", { userIds: ["ada", "ben"] });
    await call("TransferOwnership", { groupId: "g", newOwnerId: "ben" });
    await call("LeaveGroup", { groupId: "g" });
    await call("JoinGroup", { groupId: "g" });
    await call("LeaveGroup", { groupId: "g" });
    await call("CreateGroup", { groupId: "h", name: "H" });
    await call("DisbandGroup", { groupId: "h" });
    const adas = token;
    token = (await call<{ sessionToken: string }>("Login", { devUserId: "ben" })).sessionToken;
    for (const body of ["One", "Two"])
      await call("SendDirect", { recipientId: "ada", content: { text: { body } } });
    token = adas;
    const cursor = await listen();
    await call("Ack", { cursor });
    await call("SetTyping", { recipientId: "ben", typing: true });
    await call("Logout", { allDevices: true });
    const paths = Object.keys(document.paths).filter((path) => path.includes("."));
    expect([...called].sort()).toEqual(paths.sort());
  });

  /** Reads events up to `caughtUp`, whose cursor it returns. */
  async function listen(): Promise<unknown> {
    const path = "/parlance.chat.v1.ChatService/Listen";
    const { requestBody, responses } = (document.paths[path] as { post: Operation }).post;
    const request = { open: { resumeFrom: undefined, replayLimit: 100, eventKinds: [] } };
    expectValid(requestBody.content["application/json"].schema, request);
    const lines = responses["200"].content["application/x-ndjson"]?.schema.contentSchema as Json;
    const response = await post(path, request);
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    let received = "";
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      received += Buffer.from(chunk).toString();
      if (received.includes("caughtUp") && received.endsWith("\n")) break;
    }
    const answers = received
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { events: { caughtUp?: { cursor: unknown }; message?: unknown }[] });
    for (const answer of answers) expectValid(lines, answer);
    const events = answers.flatMap(({ events }) => events);
    expect(events.filter(({ message }) => message !== undefined).length).toBeGreaterThan(1);
    called.add(path);
    return events.find(({ caughtUp }) => caughtUp !== undefined)?.caughtUp?.cursor;
  }

  test("errors", async () => {
    token = "";
    const path = "/parlance.chat.v1.ChatService/SendDirect";
    for (const request of [{}, { recipientId: 7 }, [], null]) {
      const response = await post(path, request);
      expect(response.ok).toBe(false);
      expectValid({ $ref: "#/components/schemas/Error" }, await response.json());
    }
  });

  test("what the document refuses, the server refuses", async () => {
    token = (await call<{ sessionToken: string }>("Login", { devUserId: "eve" })).sessionToken;
    const path = "/parlance.chat.v1.ChatService/SendDirect";
    const schema = document.paths[path]?.post.requestBody.content["application/json"].schema as Json;
    const good = { recipientId: "ben", content: { text: { body: "x" } } };
    const requests: unknown[] = [
      {},
      { ...good, recipientId: "" },
      { ...good, recipientId: "x".repeat(129) },
      { ...good, recipientId: " x" },
      { ...good, recipientId: "a\u202eb" },
      { ...good, content: {} },
      { ...good, content: { text: { body: "" } } },
      { ...good, content: { text: { body: "x".repeat(16_385) } } },
      { ...good, content: { text: { body: "x", entities: [{ start: -1, length: 1 }] } } },
      { ...good, clientMessageId: "x".repeat(129) },
      { ...good, content: { text: { body: "x" }, custom: {} } },
    ];
    for (const request of requests) {
      expect({ request, valid: validatorOf(schema)(request) }).toEqual({ request, valid: false });
      expect((await post(path, request)).status).toBe(400);
    }
    expectValid(schema, good);
    expect((await post(path, good)).status).toBe(200);
  });
});
