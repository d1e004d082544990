import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { LimitsSchema } from "../../gen/parlance/chat/v1/device_pb.js";
import type { PresenceVisibility } from "../live/presence-visibility.ts";
import type { SessionLimits } from "../live/sessions.ts";
import type { GroupQuotaLimits } from "./group-quotas.ts";
import { defaultLoginRates, defaultUserRates, type LoginRates, type UserRates } from "./rate-limits.ts";

/** The limits the chat keeps. Defaults are those of `config.ts`. */
export interface ChatLimits extends UserRates, LoginRates, GroupQuotaLimits, SessionLimits {
  /** The largest encoded `Content`, in bytes. */
  maxContentBytes: number;
  /** The largest encoded answer to a unary call, in bytes. Lists end their pages early; one message may be larger. */
  maxAnswerBytes: number;
  /** The most members of a group. */
  maxGroupMembers: number;
  /** The most requests of one stream that wait for an answer. */
  maxInFlight: number;
  /** How often a silent client should ping, in milliseconds. */
  pingIntervalMs: number;
  /** The most bytes of answers that one user, or one connection, may leave unread before further reads are refused. */
  maxUnreadBytes: number;
  /** How long a session token is good, in milliseconds. */
  sessionTtlMs: number;
  /** How long a stream may stay without a first request, in milliseconds. */
  firstRequestTimeoutMs: number;
  /** Whether users may choose the ids of groups they create. What the host creates in process may have any. */
  chosenGroupIds: boolean;
  /** Whose presence users may see. */
  presenceVisibility: PresenceVisibility;
  /** The most session tokens of a user; 0 for no limit. */
  maxSessionsPerUser: number;
  /** The most bytes of messages that a user may store; 0 for no limit. */
  maxStoredBytesPerUser: number;
}

/** The limits a chat has that is not told otherwise. */
export const defaultLimits: ChatLimits = {
  maxContentBytes: 65_536,
  maxAnswerBytes: 1_048_576,
  maxGroupMembers: 10_000,
  maxInFlight: 256,
  maxSessions: 50_000,
  maxNewSessionsPerSecond: 500,
  pingIntervalMs: 20_000,
  outboxMaxBytes: 262_144,
  maxUnreadBytes: 33_554_432,
  replayLimit: 1_000,
  sessionTtlMs: 30 * 86_400_000,
  sessionMaxAgeMs: 3_000_000,
  firstRequestTimeoutMs: 10_000,
  maxStreamsPerUser: 100,
  maxSessionsPerUser: 1_000,
  maxDevicesPerUser: 1_000,
  maxStoredBytesPerUser: 10_737_418_240,
  maxGroupsPerUser: 5_000,
  maxGroupsOwnedPerUser: 1_000,
  chosenGroupIds: true,
  presenceVisibility: "shared",
  ...defaultUserRates,
  ...defaultLoginRates,
};

/** Returns the limits as clients are told them. */
export function limitsMessage(limits: ChatLimits) {
  return create(LimitsSchema, {
    maxContentBytes: limits.maxContentBytes,
    maxGroupMembers: limits.maxGroupMembers,
    maxInFlight: limits.maxInFlight,
    pingInterval: durationFromMs(limits.pingIntervalMs),
    // Without a limit the field is not set.
    ...(limits.maxSendsPerSecond > 0 && { maxSendsPerSecond: limits.maxSendsPerSecond }),
    ...(limits.maxStreamsPerUser > 0 && { maxStreamsPerUser: limits.maxStreamsPerUser }),
    ...(limits.maxGroupsPerUser > 0 && { maxGroupsPerUser: limits.maxGroupsPerUser }),
    ...(limits.maxReadsPerSecond > 0 && { maxReadsPerSecond: limits.maxReadsPerSecond }),
  });
}
