import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { StreamRequest } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { RateLimits, UserRate } from "../chat/rate-limits.ts";

/** Which limit a call takes from, and how much of it: one, or as many as a list of the request is long. */
interface RpcRate {
  takes: UserRate;
  /** The list of the request that is counted. */
  per?: "userIds" | "memberIds";
  /** A further limit, of which as much is taken as that list is long. */
  alsoTakes?: UserRate;
}

/** A call that costs next to nothing, or that is counted elsewhere. */
const free = undefined;
const send: RpcRate = { takes: "maxSendsPerSecond" };
const read: RpcRate = { takes: "maxReadsPerSecond" };
const change: RpcRate = { takes: "maxChangesPerSecond" };
const typing: RpcRate = { takes: "maxTypingPerSecond" };
const presence: RpcRate = { takes: "maxPresenceReadsPerSecond", per: "userIds" };
const newStream: RpcRate = { takes: "maxNewStreamsPerSecond" };

/**
 * The limits of rpcs that are neither: an rpc without side effects counts as a
 * read, any other as a change. What a `Stream` carries is counted by
 * `requestRates`.
 */
export const ownRates: Readonly<Record<string, RpcRate | typeof free>> = {
  // Nobody's, until the credential was looked at: `LoginLimits` counts it by address.
  "ChatService.Login": free,
  "ChatService.SendDirect": send,
  "ChatService.SendGroup": send,
  "ChatService.Stream": newStream,
  "ChatService.Listen": newStream,
  // A number in memory.
  "ChatService.Ack": free,
  "ChatService.SetTyping": typing,
  "GroupService.CreateGroup": {
    takes: "maxNewGroupsPerMinute",
    per: "memberIds",
    alsoTakes: "maxNewMembersPerMinute",
  },
  "GroupService.AddMembers": {
    takes: "maxChangesPerSecond",
    per: "userIds",
    alsoTakes: "maxNewMembersPerMinute",
  },
  "PresenceService.GetPresence": presence,
};

/** Returns the limit of an rpc of the contract. */
export function rateOf({ parent, name, idempotency }: DescMethod): RpcRate | typeof free {
  const key = `${parent.name}.${name}`;
  if (key in ownRates) return ownRates[key];
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ? read : change;
}

type RequestCase = NonNullable<StreamRequest["request"]["case"]>;

/** The limit of each kind of request on a stream. */
export const requestRates: Readonly<Record<RequestCase, RpcRate | typeof free>> = {
  // The stream itself was counted.
  open: free,
  sendDirect: send,
  sendGroup: send,
  ack: free,
  markRead: change,
  setTyping: typing,
  watchPresence: presence,
  ping: free,
};

/** Takes for a request what its limits ask for. Throws ChatError RATE_LIMITED when there is not enough left. */
export type TakeRate = (userId: string, request: unknown) => void;

/** Makes what counts the calls of a method. */
export function takeRateOfMethod(method: DescMethod, limits: RateLimits<UserRate>): TakeRate {
  const rate = rateOf(method);
  return rate === undefined ? () => {} : takeRate(rate, limits);
}

/** Makes what counts the requests of streams. */
export function takeRateOfRequests(
  limits: RateLimits<UserRate>,
): (userId: string, request: StreamRequest["request"] | undefined) => void {
  const takers = new Map<RequestCase | undefined, TakeRate>();
  for (const [name, rate] of Object.entries(requestRates))
    if (rate !== undefined) takers.set(name as RequestCase, takeRate(rate, limits));
  return (userId, request) => takers.get(request?.case)?.(userId, request?.value);
}

function takeRate({ takes, per, alsoTakes }: RpcRate, limits: RateLimits<UserRate>): TakeRate {
  const take = limits.taker(takes);
  if (per === undefined) return (userId) => take(userId);
  if (alsoTakes === undefined) return (userId, request) => take(userId, lengthOf(request, per));
  const takeAlso = limits.taker(alsoTakes);
  return (userId, request) => {
    take(userId);
    takeAlso(userId, lengthOf(request, per));
  };
}

/** How long a list of a request is, which was not validated yet. */
function lengthOf(request: unknown, list: "userIds" | "memberIds"): number {
  return Math.max(1, (request as Partial<Record<typeof list, unknown[]>>)[list]?.length ?? 0);
}
