import { createConnectTransport } from "@connectrpc/connect-web";
import { expect, test } from "vitest";
import { ErrorReason } from "../../clients/typescript/errors.ts";
import { Login } from "../../clients/typescript/login.ts";
import { Calls } from "../../clients/web/client/calls.ts";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import { startTestServer, text } from "../support/server.ts";

test("B11: the page refuses text that UTF-8 cannot express, naming the field, before it is sent", async () => {
  const server = await startTestServer();
  try {
    const transport = createConnectTransport({
      baseUrl: `http://${server.server.httpAddress}`,
      useBinaryFormat: true,
    });
    const closed = new AbortController().signal;
    const login = new Login({ devUserId: "ada" }, {}, async (request) => {
      const { message } = await transport.unary(
        ChatService.method.login,
        undefined,
        undefined,
        undefined,
        request,
      );
      return message;
    });
    const calls = new Calls(transport, login, closed);
    const { sendDirect } = ChatService.method;
    expect(await calls.once(sendDirect, { recipientId: "bob", content: text("👋") })).toMatchObject({});
    const refused = [
      calls.once(sendDirect, { recipientId: "bob", content: text("\ud83d") }),
      calls.once(GroupService.method.createGroup, { groupId: "\udc4b" }),
    ];
    const errors = await Promise.all(refused.map((call) => call.catch((error: unknown) => error)));
    expect(errors).toMatchObject([
      { reason: ErrorReason.INVALID_REQUEST, violations: [{ field: "content.text.body" }] },
      { reason: ErrorReason.INVALID_REQUEST, violations: [{ field: "group_id" }] },
    ]);
  } finally {
    await server.close();
  }
});
