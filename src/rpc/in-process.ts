import { create, type DescService, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { findMistyped, type Mistyped } from "../../wire/field-types.ts";
import { type Services, services } from "../../wire/services.ts";
import { handledMethods, handlersOf } from "../chat/build.ts";
import type { Chat } from "../chat/chat.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { AnyHandlers, UnaryName } from "../model/handlers.ts";
import type { RequestValidator } from "./validation.ts";

/** The calls of a service for code of the same process. They throw a ChatError where a client gets a status. */
export type InProcessService<Service extends DescService> = {
  [Name in UnaryName<Service>]: (
    request: MessageInitShape<Service["method"][Name]["input"]>,
  ) => Promise<MessageShape<Service["method"][Name]["output"]>>;
};

/** The calls of all services in the name of one user. */
export type InProcessServices = { readonly [Key in keyof Services]: InProcessService<Services[Key]> };

function refusalOf(mistyped: Mistyped): ChatError {
  const { field, description } = mistyped;
  return new ChatError(ErrorReason.INVALID_REQUEST, `${field || "the request"} ${description}`, {
    violations: [mistyped],
  });
}

/** Makes the edge for code of the same process: the same handlers and validation, no tokens and no wire. */
export function createInProcess(
  chat: Chat,
  { validate }: Pick<RequestValidator, "validate">,
): (caller: Caller) => InProcessServices {
  const handlers = handlersOf(chat);

  function callsOf(service: DescService, own: AnyHandlers, caller: Caller) {
    const calls = handledMethods(service, own).map(([{ localName, input, output }, handler]) => {
      const call = async (init: MessageInitShape<typeof input>) => {
        // No wire has made sure of it.
        const mistyped = findMistyped(input, init);
        if (mistyped !== undefined) throw refusalOf(mistyped);
        const request = create(input, init);
        validate(input, request);
        return create(output, await handler(request, caller));
      };
      return [localName, call];
    });
    return Object.fromEntries(calls);
  }

  const names = Object.keys(services) as (keyof Services)[];
  return (caller) =>
    Object.fromEntries(
      names.map((name) => [name, callsOf(services[name], handlers[name] as unknown as AnyHandlers, caller)]),
    ) as unknown as InProcessServices;
}
