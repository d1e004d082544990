import type { ProtocolName } from "../clients/protocols.ts";

/**
 * What is measured: a group that gets one message at a time, the same group as
 * fast as it goes, users who write to each other, or sessions that do nothing.
 */
export type Job = "fanout-idle" | "fanout-load" | "direct" | "idle";

/** What a load does. */
export interface Order {
  job: Job;
  protocol: ProtocolName;
  port: number;
  /** Whether to ask the server to keep messages, where that is up to clients. */
  durable: boolean;
  /** How many users are connected: members of the group, writers, or idle sessions. */
  users: number;
  /** The number of the first of them, where others are connected before. */
  firstUser: number;
}

/** What the process of a load is told. */
export type Command = { kind: "connect"; order: Order } | { kind: "run"; seconds: number };

/** What it tells. */
export type Report = { kind: "connected" } | { kind: "ran"; done: Done } | { kind: "failed"; why: string };

/** What a load did. Every message was delivered to all and answered, or it would have failed. */
export interface Done {
  /** Deliveries of a fan-out, messages of others. */
  units: number;
  messages: number;
  elapsedMs: number;
}
