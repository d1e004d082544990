/** What happens as time goes by, shown by turning the clock. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CloseReason } from "../../gen/parlance/chat/v1/event_pb.js";
import { failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

const hourMs = 3_600_000;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ sessionTtlSeconds: 3_600, maxSendsPerSecond: 1 });
});
afterAll(() => server.close());

test("a session ends when its time is over, and so does its stream, with the reason", async () => {
  const { stream, conversations } = await server.login("hourly");
  const events = stream();
  await events.open();
  await events.next("caughtUp");
  server.clock.turn(hourMs - 60_000);
  await conversations.listConversations({});
  server.clock.turn(60_000);
  expect(await failureOf((options) => conversations.listConversations({}, options))).toMatchObject({
    reasonName: "TOKEN_EXPIRED",
  });
  expect((await events.next("closed")).reason).toBe(CloseReason.TOKEN_EXPIRED);
});

test("messages are accepted at the time that the clock shows", async () => {
  const { chat } = await server.login("on time");
  const send = async () => {
    const { result } = await chat.sendDirect({ recipientId: "friend", content: text("hi") });
    return result?.acceptTime === undefined ? 0 : timestampMs(result.acceptTime);
  };
  const first = await send();
  server.clock.turn(hourMs / 2);
  const second = await send();
  expect(second - first).toBeGreaterThanOrEqual(hourMs / 2);
});

test("who has sent as much as they may can send again a moment later", async () => {
  const { chat } = await server.login("chatty");
  const send = (options = {}) => chat.sendDirect({ recipientId: "friend", content: text("hi") }, options);
  for (let n = 0; n < 10; n++) await send();
  const { reasonName, retryAfterMs } = await failureOf(send);
  expect(reasonName).toBe("RATE_LIMITED");
  server.clock.turn(retryAfterMs ?? 0);
  await send();
});
