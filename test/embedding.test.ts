/** The chat inside another service: the example, and what embedding promises. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Channel, createChannel, createClient, createServer } from "nice-grpc";
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import { connect, type ParlanceClient } from "../clients/typescript/index.ts";
import { OrderService, startMicroservice } from "../examples/microservice.ts";
import { LoginRequestSchema } from "../gen/parlance/chat/v1/chat_service_pb.js";
import {
  type BusMessage,
  ChatError,
  createLocalBus,
  createParlance,
  createSqliteStore,
  ErrorReason,
  JoinPolicy,
  type Parlance,
  type ParlanceOptions,
  text,
} from "../src/index.ts";
import { failureOf } from "./support/errors.ts";
import { eventually } from "./support/eventually.ts";
import { exitOf } from "./support/serve-child.ts";

const folder = mkdtempSync(join(tmpdir(), "parlance-embedding-"));
let files = 0;
const newFile = () => join(folder, `${++files}.db`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open: { close: () => unknown }[] = [];
/** Has something closed after the test, the last one first. */
function closing<Closable extends { close: () => unknown }>(closable: Closable): Closable {
  open.push(closable);
  return closable;
}
afterEach(async () => {
  for (const closable of open.splice(0).reverse()) await closable.close();
});

async function connected(address: string, devUserId: string): Promise<ParlanceClient> {
  return closing(await connect({ address, credentials: { devUserId } }));
}

/** The text of the next message a client gets. */
async function nextText(client: ParlanceClient): Promise<string> {
  // By hand, as leaving a loop would have the event come again.
  const events = client.events();
  for (let next = await events.next(); !next.done; next = await events.next()) {
    const event = next.value;
    if (event.case === "message" && event.value.content?.kind.case === "text") {
      return `${event.value.senderId}: ${event.value.content.kind.value.body}`;
    }
  }
  throw new Error("the client was closed");
}

describe("the example microservice", () => {
  let service: Awaited<ReturnType<typeof startMicroservice>>;
  let channel: Channel;
  beforeAll(async () => {
    service = await startMicroservice({ port: 0, dataFile: newFile() });
    channel = createChannel(service.address);
  });
  afterAll(async () => {
    channel.close();
    await service.close();
  });

  test("answers its own calls, and the customer's open stream gets the notification", async () => {
    const orders = createClient(OrderService, channel);
    const ada = await connected(service.address, "ada");
    const answer = await orders.placeOrder({ orderId: "7", customerId: "ada", item: "tea" });
    expect(answer).toEqual({ orderId: "7", messageId: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(await nextText(ada)).toBe("shop: Your order 7 of tea is on its way.");
    expect(await orders.placeOrder({ orderId: "7", customerId: "ada", item: "tea" })).toEqual(answer);
    const failure = await failureOf((options) =>
      orders.placeOrder({ orderId: "8", customerId: "", item: "tea" }, options),
    );
    expect(failure).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("recipient_id"),
    });
  });

  test("carries the whole chat on the same port", async () => {
    const [ben, cleo] = [await connected(service.address, "ben"), await connected(service.address, "cleo")];
    await ben.sendDirect("cleo", "Did yours arrive?");
    expect(await nextText(cleo)).toBe("ben: Did yours arrive?");
    await ben.groups.createGroup({ groupId: "buyers", memberIds: ["cleo"] });
    await cleo.sendGroup("buyers", "It did");
    const { conversations } = await ben.conversations.listConversations({});
    expect(conversations.map(({ target }) => target.value)).toEqual(["buyers", "cleo"]);
  });

  test("runs as a program and stops cleanly on SIGINT, with a customer connected", async () => {
    const path = fileURLToPath(new URL("../examples/microservice.ts", import.meta.url));
    const child = spawn(process.execPath, [path, "0", newFile()], {
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    const exited = exitOf(child);
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    await eventually(() => stdout.includes("Ctrl-C"));
    const dora = await connected(/on (\S+)\. /.exec(stdout)?.[1] ?? "", "dora");
    child.kill("SIGINT");
    expect({ exit: await exited, stderr }).toEqual({ exit: 0, stderr: "" });
    await dora.close();
  });
});

/** A host without a service of its own. */
async function startHost(
  options: Partial<ParlanceOptions> = {},
): Promise<{ address: string; parlance: Parlance; close: () => Promise<void> }> {
  const parlance = await createParlance({ store: newFile(), auth: "dev", ...options });
  const server = createServer(parlance.serverOptions);
  parlance.mount(server);
  const address = `127.0.0.1:${await server.listen("127.0.0.1:0")}`;
  return closing({
    address,
    parlance,
    async close() {
      await parlance.drain(1_000);
      server.forceShutdown();
      await parlance.close();
    },
  });
}

async function refusalOf(call: Promise<unknown>): Promise<ChatError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ChatError);
  return error as ChatError;
}

describe("the chat in process", () => {
  test("stores what it sends for a user who has stored as much as users may", async () => {
    const { address, parlance } = await startHost({ limits: { maxStoredBytesPerUser: 1 } });
    const ada = await connected(address, "ada");
    await ada.sendDirect("ben", "1");
    await expect(ada.sendDirect("ben", "2")).rejects.toMatchObject({ reason: ErrorReason.QUOTA_EXCEEDED });
    const sent = await parlance.chat.sendDirect("ada", { recipientId: "ben", content: text("3") });
    expect(sent.seq).toBe(2n);
  });

  test("delivers to open streams what it sends, and answers as the calls do", async () => {
    const { address, parlance } = await startHost();
    const ada = await connected(address, "ada");
    const request = { recipientId: "ada", content: text("Hello 👋"), clientMessageId: "1" };
    const sent = await parlance.chat.sendDirect("host", request);
    expect(sent).toMatchObject({ conversationId: "d:ada:host", seq: 1n, duplicate: false });
    expect(await nextText(ada)).toBe("host: Hello 👋");
    expect(await parlance.chat.sendDirect("host", request)).toEqual({ ...sent, duplicate: true });

    const { group } = await parlance.chat.as("host").groups.createGroup({
      groupId: "g",
      joinPolicy: JoinPolicy.CLOSED,
      attributes: { a: "b" },
    });
    expect(group).toMatchObject({ ownerId: "host", memberCount: 1, joinPolicy: JoinPolicy.CLOSED });
    expect(
      await parlance.chat.as("host").groups.addMembers({ groupId: "g", userIds: ["ada", "ben"] }),
    ).toMatchObject({
      members: [{ userId: "ada" }, { userId: "ben" }],
    });
    await parlance.chat.sendGroup("host", { groupId: "g", content: text("to all") });
    expect(await nextText(ada)).toBe("host: to all");
  });

  test("answers HTTP beside what the host serves itself", async () => {
    const { parlance } = await startHost();
    const server = createHttpServer((request, response) => {
      if (!parlance.handleHttp(request, response)) response.end("the host's own");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing({
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    });
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await (await fetch(`${base}/shop`)).text()).toBe("the host's own");
    const answer = await fetch(`${base}/parlance.chat.v1.ChatService/Login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"devUserId":"ada"}',
    });
    expect(await answer.json()).toMatchObject({ userId: "ada" });
  });

  describe("behind a body parser", () => {
    /** Starts a host that reads bodies before it hands requests on, and leaves what `parse` makes of them. */
    async function parsing(parse: (body: Buffer) => unknown) {
      const { parlance } = await startHost();
      const server = createHttpServer(async (request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        Object.assign(request, { body: parse(Buffer.concat(chunks)) });
        if (!parlance.handleHttp(request, response)) response.end("the host's own");
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      closing({
        close: () => {
          server.closeAllConnections();
          server.close();
        },
      });
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      return (body: Uint8Array | string, type: string) =>
        fetch(`${base}/parlance.chat.v1.ChatService/Login`, {
          method: "POST",
          headers: { "content-type": type },
          body: body as string,
        });
    }

    const credential = { case: "devUserId", value: "ada" } as const;
    const binary = toBinary(LoginRequestSchema, create(LoginRequestSchema, { credential }));

    test.each([
      ["an object", (body: Buffer) => JSON.parse(body.toString())],
      ["a text", (body: Buffer) => body.toString()],
      ["bytes", (body: Buffer) => body],
    ])("handleHttp takes %s for the body", async (_, parse) => {
      const post = await parsing(parse);
      const answer = await post('{ "devUserId":  "ada" }', 'application/json; charset="utf-8"');
      expect(await answer.json()).toMatchObject({ userId: "ada" });
    });

    test("handleHttp takes bytes for a body in Protobuf", async () => {
      const post = await parsing((body) => body);
      expect((await post(binary, "application/proto")).status).toBe(200);
    });

    test.each([
      ["nothing", '{"devUserId":"ada"}', "application/json", () => undefined],
      ["a text of what was bytes", binary, "application/proto", (body: Buffer) => body.toString()],
    ])("handleHttp says what is wrong where %s is left of it", async (_, body, type, parse) => {
      const answer = await (await parsing(parse))(body, type);
      expect(answer.status).toBe(500);
      expect(await answer.json()).toMatchObject({
        code: "internal",
        message: expect.stringContaining("let handleHttp come before body parsers"),
      });
    });
  });

  test("tells who is online and how much is connected", async () => {
    const { address, parlance } = await startHost();
    expect(parlance.chat.stats()).toEqual({ sessions: 0, users: 0, groups: 0 });
    const ada = await connected(address, "ada");
    await parlance.chat.as("ada").groups.createGroup({ groupId: "g" });
    await eventually(() => parlance.chat.stats().groups === 1);
    expect(parlance.chat.stats()).toEqual({ sessions: 1, users: 1, groups: 1 });
    expect([parlance.chat.isOnline("ada"), parlance.chat.isOnline("ben")]).toEqual([true, false]);
    await ada.close();
    await eventually(() => !parlance.chat.isOnline("ada"));
    expect(parlance.chat.stats()).toEqual({ sessions: 0, users: 0, groups: 0 });
  });

  test("B11: refuses with the reason and changes nothing", async () => {
    const { parlance } = await startHost({ limits: { maxContentBytes: 1_000, maxGroupMembers: 3 } });
    const { chat } = parlance;
    const content = text("x");
    await chat.as("host").groups.createGroup({ groupId: "g" });
    const cases: [call: () => Promise<unknown>, reason: ErrorReason][] = [
      [() => chat.sendDirect("host", { recipientId: "", content }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendDirect("host", { recipientId: "ada" }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendDirect("host", { recipientId: "ada", content: text("") }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendDirect("host", { recipientId: "host", content }), ErrorReason.RECIPIENT_IS_SENDER],
      [
        () => chat.sendDirect("host", { recipientId: "ada", content: text("x".repeat(1_000)) }),
        ErrorReason.CONTENT_TOO_LARGE,
      ],
      [() => chat.sendDirect("", { recipientId: "ada", content }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendDirect(" host", { recipientId: "ada", content }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendDirect("x".repeat(129), { recipientId: "ada", content }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendDirect("ada\ud800", { recipientId: "ada", content }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendDirect(5 as never, { recipientId: "ada", content }), ErrorReason.INVALID_REQUEST],
      [() => chat.sendGroup("host", { groupId: "none", content }), ErrorReason.GROUP_NOT_FOUND],
      [() => chat.sendGroup("ada", { groupId: "g", content }), ErrorReason.GROUP_NOT_FOUND],
      [() => chat.as("ada").groups.createGroup({ groupId: "g" }), ErrorReason.GROUP_ID_TAKEN],
      [async () => chat.as("ada\n").groups.createGroup({ groupId: "h" }), ErrorReason.INVALID_REQUEST],
      [() => chat.as("host").groups.addMembers({ groupId: "g", userIds: [] }), ErrorReason.INVALID_REQUEST],
      [
        () => chat.as("host").groups.addMembers({ groupId: "g", userIds: ["a", "b", "c"] }),
        ErrorReason.GROUP_FULL,
      ],
    ];
    for (const [call, reason] of cases)
      expect(ErrorReason[(await refusalOf(call())).reason]).toBe(ErrorReason[reason]);
    const halves: [call: () => Promise<unknown>, field: string][] = [
      [() => chat.sendDirect("host", { recipientId: "ada\ud800", content }), "recipient_id"],
      [() => chat.sendDirect("host", { recipientId: "ada", content: text("\udc00") }), "content.text.body"],
      [() => chat.sendDirect("host", { recipientId: "ada", content: 5 as never }), "content"],
      [() => chat.as("host").groups.createGroup({ groupId: "\ud800" }), "group_id"],
      [() => chat.as("host").groups.addMembers({ groupId: "g", userIds: ["a", "\ud800"] }), "user_ids[1]"],
      [() => chat.as("host").groups.createGroup({ attributes: { a: "\ud800" } }), 'attributes["a"]'],
    ];
    for (const [call, field] of halves)
      expect(await refusalOf(call())).toMatchObject({
        reason: ErrorReason.INVALID_REQUEST,
        details: { violations: [{ field }] },
      });
    const broken = await refusalOf(chat.sendDirect("host", { recipientId: "ada", content: text("") }));
    expect(broken.message).toContain("content.text.body");
    expect(broken.details.violations).toMatchObject([
      { field: "content.text.body", rule: "string.min_bytes" },
    ]);
    expect(await chat.sendDirect("host", { recipientId: "ada", content })).toMatchObject({
      seq: 1n,
      position: 3n,
    });
  });

  test("takes plain objects that the compiler checks", () => {
    expectTypeOf<Parameters<Parlance["chat"]["sendDirect"]>[1]>().toExtend<{ recipientId?: string }>();
    // @ts-expect-error a misspelt field
    void ((parlance: Parlance) => parlance.chat.sendDirect("a", { recipient: "b" }));
  });
});

describe("embedding", () => {
  test("closes neither a store nor a bus that it was given", async () => {
    const store = closing(await createSqliteStore({ path: newFile() }));
    const bus = closing(createLocalBus());
    const host = await startHost({ store, bus });
    await host.parlance.chat.sendDirect("host", { recipientId: "ada", content: text("hi") });
    await host.close();
    expect(await store.lastPosition()).toBe(1);
    const heard: BusMessage[] = [];
    bus.subscribe("x", (message) => {
      heard.push(message);
      return undefined;
    });
    bus.publish("x", { type: "logout", id: 1, userId: "ada" });
    expect(heard).toHaveLength(1);

    const second = await startHost({ store, bus });
    expect(
      await second.parlance.chat.sendDirect("host", { recipientId: "ada", content: text("again") }),
    ).toMatchObject({ seq: 2n });
  });

  test("closes the store it opened, so that the file is free, and may be closed twice", async () => {
    const file = newFile();
    const first = await createParlance({ store: file, auth: "dev" });
    await expect(createParlance({ store: file, auth: "dev" })).rejects.toThrow(file);
    await first.chat.sendDirect("host", { recipientId: "ada", content: text("hi") });
    await Promise.all([first.close(), first.close()]);
    await first.close();
    const second = closing(await createParlance({ store: file, auth: "dev" }));
    expect(await second.chat.sendDirect("host", { recipientId: "ada", content: text("hi") })).toMatchObject({
      seq: 2n,
    });
  });

  test("leaves nothing open when it cannot be built", async () => {
    const file = newFile();
    await expect(createParlance({ store: file, auth: { secret: "short" } })).rejects.toThrow(
      "at least 32 bytes",
    );
    closing(await createParlance({ store: file, auth: "dev" }));
  });

  test("lets the host choose ids of groups where users may not", async () => {
    const host = await startHost({ limits: { chosenGroupIds: false } });
    const { group } = await host.parlance.chat.as("shop").groups.createGroup({
      groupId: "orders",
      memberIds: ["ada"],
    });
    expect(group?.groupId).toBe("orders");
    const ada = await connected(host.address, "ada");
    await expect(ada.groups.createGroup({ groupId: "mine" })).rejects.toThrow("group_id");
    expect((await ada.groups.createGroup({ name: "mine" })).group?.groupId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("takes tokens of the host, or a verifier of its own", async () => {
    const host = await startHost({ auth: { secret: "a secret that is long enough to be one" } });
    await expect(connect({ address: host.address, credentials: { devUserId: "ada" } })).rejects.toThrow(
      "dev_user_id",
    );
    const own = await startHost({
      auth: {
        async verify(credential) {
          if (credential.kind !== "token" || credential.token !== "sesame") {
            throw new ChatError(ErrorReason.INVALID_TOKEN, "say the word");
          }
          return { userId: "ali", expireTimeMs: Date.now() + 60_000, issueTimeMs: Date.now() };
        },
      },
    });
    await expect(connect({ address: own.address, credentials: { token: "barley" } })).rejects.toThrow(
      "say the word",
    );
    const ali = closing(await connect({ address: own.address, credentials: { token: "sesame" } }));
    expect(ali.userId).toBe("ali");
  });

  test("drains: sessions are asked to reconnect and no new ones are taken", async () => {
    const { address, parlance } = await startHost();
    const ada = await connected(address, "ada");
    await parlance.drain();
    expect(parlance.chat.stats().sessions).toBe(0);
    await ada.close();
    const failure = connect({ address, credentials: { devUserId: "ben" }, connectTimeoutMs: 500 });
    await expect(failure).rejects.toThrow();
    expect(parlance.chat.stats().sessions).toBe(0);
  });
});
