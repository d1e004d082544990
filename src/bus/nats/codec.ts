/**
 * Messages as bytes and back: the envelope of `parlance.cluster.v1`. The types
 * ask for every kind, on both sides, and for every field on the way out.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AudienceSchema,
  type Envelope,
  EnvelopeSchema,
  NoticeEventSchema,
  type Audience as WireAudience,
} from "../../../gen/parlance/cluster/v1/bus_pb.js";
import type { Audience } from "../../../wire/log-event.ts";
import { type BusMessage, EphemeralKind, subjects } from "../bus.ts";
import { decodeFrequent, encodeLog, encodeNotice } from "./frequent.ts";

type Wire = Envelope["message"];
type Kind = BusMessage["type"] | Exclude<Wire["case"], undefined>;
type MessageOf<K extends Kind> = Extract<BusMessage, { type: K }>;
type ValueOf<K extends Kind> = Omit<
  NonNullable<Extract<Wire, { case: K }>["value"]>,
  "$typeName" | "$unknown"
>;

interface Conversion<K extends Kind> {
  toWire(message: MessageOf<K>): ValueOf<K>;
  /** Returns undefined for what only a later release understands. */
  fromWire(value: ValueOf<K>): MessageOf<K> | undefined;
}

/**
 * Encodes a message, and leaves `spareBytes` after it for the caller to fill.
 *
 * @throws RangeError for a number that its field cannot hold
 */
export function encodeMessage(message: BusMessage, spareBytes = 0): Buffer {
  if (message.type === "log" && message.limited === undefined) return encodeLog(message, spareBytes);
  if (message.type === "notice") return encodeNotice(message, spareBytes);
  const bytes = encodeAny(message);
  const roomy = Buffer.allocUnsafe(bytes.length + spareBytes);
  roomy.set(bytes);
  return roomy;
}

/** Does what `encodeMessage` does, with generated code for every kind. */
export function encodeAny(message: BusMessage): Uint8Array {
  const conversion = conversions[message.type] as Conversion<Kind>;
  const value = conversion.toWire(message as MessageOf<Kind>);
  return toBinary(EnvelopeSchema, create(EnvelopeSchema, { message: { case: message.type, value } as Wire }));
}

/**
 * Decodes a message; returns undefined when its kind is of a later release.
 *
 * @throws when the bytes are no message
 */
export function decodeMessage(bytes: Uint8Array): BusMessage | undefined {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return decodeFrequent(buffer) ?? decodeAny(buffer);
}

/** Does what `decodeMessage` does, with generated code for every kind. */
export function decodeAny(bytes: Uint8Array): BusMessage | undefined {
  return decodeEnvelope(bytes).message;
}

/** Decodes a message as `decodeAny` does, with the epoch that the envelope names. */
export function decodeEnvelope(bytes: Uint8Array): { message?: BusMessage; epoch?: string } {
  const { message: wire, epoch } = fromBinary(EnvelopeSchema, bytes, { readUnknownFields: false });
  const message =
    wire.case &&
    (conversions[wire.case] as Conversion<Kind>).fromWire(wire.value as unknown as ValueOf<Kind>);
  return { ...(message && { message }), ...(epoch !== undefined && { epoch }) };
}

const conversions: { [K in Kind]: Conversion<K> } = {
  log: {
    toWire: ({ conversationId, seq, position, kind, frame, limited }) => ({
      conversationId,
      seq: BigInt(seq),
      position: BigInt(position),
      kind,
      frame,
      ...(limited && { audience: audienceToWire(limited.audience) }),
      withheldFrame: limited?.withheldFrame ?? new Uint8Array(),
    }),
    fromWire: ({ conversationId, seq, position, kind, frame, audience, withheldFrame }) => ({
      type: "log",
      conversationId,
      seq: Number(seq),
      position: Number(position),
      kind,
      frame: Buffer.from(frame),
      ...(audience && {
        limited: { audience: audienceFromWire(audience), withheldFrame: Buffer.from(withheldFrame) },
      }),
    }),
  },
  notice: {
    toWire: ({ firstPosition, subjects }) => ({
      firstPosition: BigInt(firstPosition),
      events: subjects.map((names) => create(NoticeEventSchema, { subjects: [...names] })),
    }),
    fromWire: ({ firstPosition, events }) => ({
      type: "notice",
      firstPosition: Number(firstPosition),
      subjects: events.map((event) => event.subjects),
    }),
  },
  ephemeral: {
    toWire: ({ kind, subject, exceptUserId, frame }) => ({
      kind,
      target: targetOf(subject),
      ...(exceptUserId !== undefined && { exceptUserId }),
      frame,
    }),
    fromWire: ({ kind, target, exceptUserId, frame }) =>
      isOneOf(EphemeralKind, kind) && target.case !== undefined
        ? {
            type: "ephemeral",
            kind,
            subject: target.case === "userId" ? subjects.user(target.value) : subjects.group(target.value),
            ...(exceptUserId !== undefined && { exceptUserId }),
            frame: Buffer.from(frame),
          }
        : undefined,
  },
  presence: {
    toWire: ({ userId, instanceId, platforms, lastActiveMs }) => ({
      userId,
      instanceId,
      platforms: [...platforms],
      lastActiveMs: wholeMs(lastActiveMs),
    }),
    fromWire: ({ userId, instanceId, platforms, lastActiveMs }) => ({
      type: "presence",
      userId,
      instanceId,
      platforms,
      lastActiveMs: Number(lastActiveMs),
    }),
  },
  presenceQuery: {
    toWire: ({ userIds }) => ({ userIds: [...userIds] }),
    fromWire: ({ userIds }) => ({ type: "presenceQuery", userIds }),
  },
  logout: {
    toWire: ({ id, userId, deviceId }) => ({
      id: BigInt(id),
      userId,
      ...(deviceId !== undefined && { deviceId }),
    }),
    fromWire: ({ id, userId, deviceId }) => ({
      type: "logout",
      id: Number(id),
      userId,
      ...(deviceId !== undefined && { deviceId }),
    }),
  },
  opened: {
    toWire: ({ userId, deviceId, opens }) => ({ userId, deviceId, opens: BigInt(opens) }),
    fromWire: ({ userId, deviceId, opens }) => ({ type: "opened", userId, deviceId, opens: Number(opens) }),
  },
  node: {
    toWire: (node) => ({
      name: node.name,
      instanceId: node.instanceId,
      address: node.address,
      version: node.version,
      startTimeMs: wholeMs(node.startTimeMs),
      timeMs: wholeMs(node.timeMs),
      sessions: node.sessions,
      users: node.users,
      draining: node.draining,
    }),
    fromWire: (node) => ({
      type: "node",
      name: node.name,
      instanceId: node.instanceId,
      address: node.address,
      version: node.version,
      startTimeMs: Number(node.startTimeMs),
      timeMs: Number(node.timeMs),
      sessions: node.sessions,
      users: node.users,
      draining: node.draining,
    }),
  },
  nodeQuery: {
    toWire: ({ name }) => ({ ...(name !== undefined && { name }) }),
    fromWire: ({ name }) => ({ type: "nodeQuery", ...(name !== undefined && { name }) }),
  },
  drainNode: {
    toWire: ({ name, sessionsPerSecond }) => ({ name, sessionsPerSecond }),
    fromWire: ({ name, sessionsPerSecond }) => ({ type: "drainNode", name, sessionsPerSecond }),
  },
};

function audienceToWire({ aboutSeq, userIds }: Audience): WireAudience {
  return create(AudienceSchema, {
    ...(aboutSeq !== undefined && { aboutSeq: BigInt(aboutSeq) }),
    ...(userIds !== undefined && { only: { userIds: [...userIds] } }),
  });
}

function audienceFromWire({ aboutSeq, only }: WireAudience): Audience {
  return {
    ...(aboutSeq !== undefined && { aboutSeq: Number(aboutSeq) }),
    ...(only !== undefined && { userIds: only.userIds }),
  };
}

function isOneOf<N extends number>(kinds: Record<string, N>, kind: number): kind is N {
  return Object.values(kinds).includes(kind as N);
}

/** Times of clocks that tell parts of a millisecond lose them. */
function wholeMs(timeMs: number): bigint {
  return BigInt(Math.floor(timeMs));
}

/** Returns whom a subject of a user or a group is about. */
function targetOf(subject: string): { case: "userId" | "groupId"; value: string } {
  const isUser = subject.startsWith(subjects.user(""));
  const value = subject.slice((isUser ? subjects.user("") : subjects.group("")).length);
  return { case: isUser ? "userId" : "groupId", value };
}
