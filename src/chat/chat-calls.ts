import type * as pb from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Caller } from "../model/caller.ts";
import type { Handlers } from "../model/handlers.ts";
import type { Chat } from "./chat.ts";
import { sendResultOf } from "./sends.ts";

/** Does the work of `ChatService`, but for `Login`, `Stream` and `Listen`, which only a wire has. */
export class ChatCalls implements Handlers<typeof pb.ChatService> {
  readonly #chat: Chat;

  constructor(chat: Chat) {
    this.#chat = chat;
  }

  async logout({ allDevices }: pb.LogoutRequest, caller: Caller) {
    return { closedSessions: await this.#chat.logout(caller, allDevices) };
  }

  async sendDirect(request: pb.SendDirectRequest, caller: Caller) {
    return { result: sendResultOf(await this.#chat.sends.sendDirect(request, caller)) };
  }

  async sendGroup(request: pb.SendGroupRequest, caller: Caller) {
    return { result: sendResultOf(await this.#chat.sends.sendGroup(request, caller)) };
  }

  async ack({ cursor }: pb.AckRequest, caller: Caller) {
    return { cursor: await this.#chat.ack(cursor as NonNullable<typeof cursor>, caller) };
  }

  async setTyping(request: pb.SetTypingRequest, caller: Caller) {
    await this.#chat.setTyping(request, caller);
    return {};
  }
}
