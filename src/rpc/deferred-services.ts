import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "nice-grpc";
import { chatServices } from "../../wire/services.ts";
import type { Logins } from "../chat/logins.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Logger } from "../model/logger.ts";
import { Call, pathOf } from "./calls.ts";
import type { ServiceParts } from "./service-parts.ts";
import { type MountableService, mountable } from "./services.ts";

/** The services of the contract, once their store is open. */
export interface DeferredParts {
  servicesFor: (handles: ServiceParts["handles"]) => MountableService[];
  logins: Pick<Logins, "resolve">;
}

/** The services of a server whose store is not there yet. */
export interface DeferredServices extends DeferredParts {
  /** Has calls answered from now on. */
  open(parts: DeferredParts): void;
}

type Run = (request: unknown, context: CallContext) => unknown;

/**
 * Makes the services of the contract before what they need is there: so the
 * ports are open and health can be asked. Calls are refused with
 * SERVER_STARTING until `open`, and are from then on those of `parts`.
 */
export function deferServices(log: Logger): DeferredServices {
  let parts: DeferredParts | undefined;

  /** Makes a method that looks for its implementation with every call. */
  function deferred(method: DescMethod, find: () => Run | undefined): Run {
    const fail = (context: CallContext) => new Call(pathOf(method), context, log).fail(starting());
    const isStream = method.methodKind !== "unary";
    return (request, context) => {
      const run = find();
      if (run !== undefined) return run(request, context);
      return isStream ? failing(() => fail(context)) : Promise.reject(fail(context));
    };
  }

  return {
    servicesFor(handles) {
      let made: Map<string, Record<string, unknown>> | undefined;
      const implementationOf = (typeName: string) => {
        made ??= parts && new Map(parts.servicesFor(handles).map((each) => [each.name, each.implementation]));
        return made?.get(typeName);
      };
      return chatServices.map((service) => {
        const methods: DescMethod[] = service.methods;
        const find = (name: string) => implementationOf(service.typeName)?.[name] as Run | undefined;
        const runs = methods.map((method) => [
          method.localName,
          deferred(method, () => find(method.localName)),
        ]);
        return mountable(service, Object.fromEntries(runs));
      });
    },
    logins: {
      resolve(token, deviceId) {
        if (parts === undefined) throw starting();
        return parts.logins.resolve(token, deviceId);
      },
    },
    open(opened) {
      parts = opened;
    },
  };
}

// biome-ignore lint/correctness/useYield: it is the stream that fails
async function* failing(error: () => Error): AsyncGenerator<never, void> {
  throw error();
}

function starting(): ChatError {
  return new ChatError(ErrorReason.SERVER_STARTING, "the server is starting and waits for what it needs", {
    retryAfterMs: 1_000,
  });
}
