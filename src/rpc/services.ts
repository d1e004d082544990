import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { CallContext, Server } from "nice-grpc";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { toDefinition } from "../../wire/definition.ts";
import { encodeSendResponse } from "../../wire/fast/sent.ts";
import { type Services, services } from "../../wire/services.ts";
import { WireWriter } from "../../wire/writer.ts";
import { handledMethods, handlersOf } from "../chat/build.ts";
import type { Sends } from "../chat/sends.ts";
import type { Caller } from "../model/caller.ts";
import type { AnyHandlers } from "../model/handlers.ts";
import { callIdKey } from "../net/call-handles.ts";
import { type CallParts, openCall, unaryCall } from "./calls.ts";
import { limitSends } from "./limited-sends.ts";
import { takeRateOfRequests } from "./rpc-rates.ts";
import type { ServiceOptions, ServiceParts } from "./service-parts.ts";
import { listenCall, streamCall } from "./stream.ts";
import { countingLists } from "./wire-lengths.ts";

/** A service with its implementation, for nice-grpc's `server.add` and for the Connect edge. */
export interface MountableService {
  /** Such as `parlance.chat.v1.ChatService`. */
  name: string;
  /** As generated. */
  service: DescService;
  /** The functions nice-grpc calls, one for each method, by its local name. */
  implementation: Record<string, unknown>;
  /** Adds it to a server. */
  mount: (server: Pick<Server, "add">) => void;
}

/** Makes the services of the contract from the chat. */
export function createServices(options: ServiceOptions): MountableService[] {
  const { chat } = options;
  const parts: ServiceParts = {
    ...options,
    sends: limitSends(chat),
    takeRequest: takeRateOfRequests(chat.rates),
  };
  const calls: CallParts = {
    logins: chat.logins,
    rates: chat.rates,
    validator: parts.validator,
    log: parts.log,
  };
  const handlers = handlersOf(chat);
  const names = Object.keys(services) as (keyof Services)[];
  return names.map((name) =>
    mountable(services[name], {
      ...unaryCalls(services[name], handlers[name] as unknown as AnyHandlers, calls, parts),
      ...(name === "chat" && {
        ...encodedSends(parts.sends, calls),
        login: openCall(
          ChatService.method.login,
          (request, context) => options.loginLimits.run(context, () => chat.logins.login(request)),
          calls,
        ),
        stream: streamCall(parts),
        listen: listenCall(parts),
      }),
    }),
  );
}

/** The sends, which answer with what is encoded already: a call of them is not to cost what the library's way does. */
function encodedSends(sends: Sends, calls: CallParts): Record<string, unknown> {
  const writer = new WireWriter();
  const { sendDirect, sendGroup } = ChatService.method;
  return {
    sendDirect: unaryCall(
      sendDirect,
      async (request, caller) => encodeSendResponse(await sends.sendDirect(request, caller), writer),
      calls,
    ),
    sendGroup: unaryCall(
      sendGroup,
      async (request, caller) => encodeSendResponse(await sends.sendGroup(request, caller), writer),
      calls,
    ),
  };
}

/** Makes the calls of a service that its handlers have the work of. */
function unaryCalls(
  service: DescService,
  handlers: AnyHandlers,
  calls: CallParts,
  parts: ServiceParts,
): Record<string, unknown> {
  return Object.fromEntries(
    handledMethods(service, handlers).map(([method, handler]) => [
      method.localName,
      unaryCall(method, isRead(method) ? inTurn(handler, parts) : handler, calls),
    ]),
  );
}

type AnyHandler = AnyHandlers[string];

/** Whether a method only reads. */
function isRead({ idempotency }: DescMethod): boolean {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

/** Has a read wait for its user's turn, and refuses it to who leaves too much unread, also meanwhile. */
function inTurn(handler: AnyHandler, { reads, unread, handles }: ServiceParts) {
  return (request: Message, caller: Caller, { metadata, peer }: CallContext) => {
    const asking = { userId: caller.userId, connection: peer };
    unread.check(asking);
    const call = handles?.get(String(metadata.get(callIdKey)));
    if (call !== undefined) unread.add(asking, call);
    return reads.run(caller.userId, async () => {
      unread.check(asking);
      return handler(request, caller);
    });
  };
}

/** Makes a service that can be mounted. */
export function mountable(service: DescService, implementation: Record<string, unknown>): MountableService {
  return {
    name: service.typeName,
    service,
    implementation,
    mount: (server) => server.add(countingLists(toDefinition(service), service), implementation as never),
  };
}
