import { randomUUID } from "node:crypto";
import type { Server } from "nice-grpc";
import { chatServices } from "../../wire/services.ts";
import type { TokenVerifier } from "../auth/verifier.ts";
import type { Bus } from "../bus/bus.ts";
import { Chat } from "../chat/chat.ts";
import { type ChatLimits, defaultLimits } from "../chat/limits.ts";
import { type Clock, systemClock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import type { CallHandles } from "../net/call-handles.ts";
import { CallerAddresses } from "../net/caller-address.ts";
import { FairReads } from "../rpc/fair-reads.ts";
import { LoginLimits } from "../rpc/login-limits.ts";
import type { ServiceParts } from "../rpc/service-parts.ts";
import { createServices, type MountableService } from "../rpc/services.ts";
import { UnreadAnswers } from "../rpc/unread-answers.ts";
import { createRequestValidator, type RequestValidator } from "../rpc/validation.ts";
import type { Store } from "../store/store.ts";

/** The parts that a chat is assembled from. */
export interface ParlanceParts {
  store: Store;
  bus: Bus;
  verifier: TokenVerifier;
  /** Those left out have their defaults. */
  limits?: Partial<ChatLimits>;
  /** Tells where callers are; by default without trusted proxies. */
  addresses?: CallerAddresses;
  log: Logger;
  handles?: CallHandles;
  /** Names this node among those that share the store; by default a new one. */
  instanceId?: string;
  /** By default the machine's. The store has to go by the same. */
  clock?: Clock;
}

/** A chat and its services, not yet on any server. */
export interface AssembledParlance {
  chat: Chat;
  services: MountableService[];
  /** Makes the same services for another server, whose calls are ended by other handles. */
  servicesFor: (handles: ServiceParts["handles"]) => MountableService[];
  /** Ready for every request type; making another costs what this one's first use did. */
  validator: RequestValidator;
  /** Adds all services to a nice-grpc server that does not listen yet. */
  mount: (server: Pick<Server, "add">) => void;
}

/** Puts a chat together. The parts stay the caller's to close, after `chat.close()`. */
export async function assemble({
  limits,
  handles,
  addresses = new CallerAddresses(),
  clock = systemClock,
  ...parts
}: ParlanceParts): Promise<AssembledParlance> {
  const allLimits = { ...defaultLimits, ...limits };
  const chat = await Chat.create({
    ...parts,
    instanceId: parts.instanceId ?? randomUUID(),
    limits: allLimits,
    clock,
  });
  // Of the node, whichever port a login comes to.
  const loginLimits = new LoginLimits(chat.limits, addresses, clock);
  const validator = createRequestValidator();
  validator.warm(chatServices);
  const reads = new FairReads();
  const unread = new UnreadAnswers(allLimits.maxUnreadBytes);
  const servicesFor = (handles: ServiceParts["handles"]) =>
    createServices({ chat, loginLimits, validator, log: parts.log, reads, unread, handles });
  const services = servicesFor(handles);
  return {
    chat,
    services,
    servicesFor,
    validator,
    mount: (server) => {
      for (const service of services) service.mount(server);
    },
  };
}
