/** The client of Parlance for Node. */

export {
  type Content,
  type Text,
  type TextEntity,
  TextStyle,
} from "../../gen/parlance/chat/v1/content_pb.js";
export type { Conversation, Receipt } from "../../gen/parlance/chat/v1/conversation_pb.js";
export type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
export { type Device, type Limits, Platform } from "../../gen/parlance/chat/v1/device_pb.js";
export { type Behind, type CaughtUp, EventKind, type Typing } from "../../gen/parlance/chat/v1/event_pb.js";
export {
  type Group,
  JoinPolicy,
  type Member,
  MembershipChange,
  type MembershipChanged,
  Role,
} from "../../gen/parlance/chat/v1/group_pb.js";
export type { ChatMessage, SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
export type { Presence } from "../../gen/parlance/chat/v1/presence_pb.js";
export type { CallExtras } from "./calls.ts";
export { type ClientStats, connect, type ParlanceClient } from "./client.ts";
export { ErrorReason, ParlanceError, Status, type Violation } from "./errors.ts";
export type { ClientEvent, LogCase, Place, Reset, ShownCase } from "./events.ts";
export type { ClientState } from "./live.ts";
export type { Credentials, DeviceInit } from "./login.ts";
export type { ConnectOptions } from "./options.ts";
export { OwnTyping } from "./own-typing.ts";
export type { BackoffOptions } from "./reconnect.ts";
export type { ContentInit, SendInit, Target } from "./sends.ts";
export { createTransport, type Transport, type TransportOptions } from "./transport.ts";
