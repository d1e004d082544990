/**
 * What happened, as each client saw it: a list of entries in the order in which
 * they happened to that client. The checker reads nothing else but these and a
 * dump of the store.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where a message went. */
export type Target = { recipientId: string } | { groupId: string };

/** A change that a client asked for. */
export type Operation =
  | { f: "send"; to: Target; clientMessageId: string; body: string }
  | { f: "create-group"; groupId: string; memberIds: string[] }
  | { f: "join" | "leave"; groupId: string }
  | { f: "add" | "remove"; groupId: string; userIds: string[] };

/** The error of a call, a refusal or a stream, as its client got it. */
export interface SeenError {
  /** The gRPC code, such as `UNAVAILABLE`. */
  code: string;
  /** The reason of `ErrorInfo`; empty when there was none. */
  reason: string;
  message: string;
}

/** An event of a conversation's log, as a client got it. */
export interface SeenEvent {
  conversationId: string;
  seq: number;
  position: number;
  /** `other` is one that only later releases know. */
  kind: "message" | "membershipChanged" | "groupChanged" | "other";
  /** Of a message. */
  messageId?: string;
  senderId?: string;
  clientMessageId?: string;
  body?: string;
}

/** One thing that happened. `atMs` is on the monotonic clock of the harness. */
export type Entry = { atMs: number } & (
  | {
      /** The client asks for something; it answers with `ok`, `fail` or `unknown`, or never. */
      type: "invoke";
      op: number;
      operation: Operation;
    }
  | {
      /** The operation was carried out. The fields are those of a send's result. */
      type: "ok";
      op: number;
      conversationId?: string;
      seq?: number;
      position?: number;
      messageId?: string;
      duplicate?: boolean;
    }
  | {
      /** The operation was refused: it had no effect. */
      type: "fail";
      op: number;
      error: SeenError;
    }
  | {
      /** One try had no answer, or one that leaves open whether it had an effect. Tries may follow. */
      type: "unknown";
      op: number;
      error: SeenError;
    }
  | {
      /** A stream was opened: everything of the user's after `position` is due. */
      type: "opened";
      stream: number;
      epoch: string;
      position: number;
      resumed: boolean;
    }
  | {
      /** The stream goes on after `position`; the client reads what is before from the history. */
      type: "behind";
      stream: number;
      position: number;
    }
  | { type: "event"; stream: number; event: SeenEvent }
  | { type: "caught-up"; stream: number; position: number }
  | {
      /** An SDK client gave the application an event: once, over all its streams. */
      type: "shown";
      event: SeenEvent;
    }
  | { type: "presence"; stream: number; userId: string; online: boolean }
  | {
      /** The stream ended: by the client, by the server with `CLOSED_…` reasons, or with an error. */
      type: "end";
      stream: number;
      closed?: string;
      error?: SeenError;
    }
  /** Any other call failed. */
  | { type: "error"; call: string; error: SeenError }
);

/** The history of one client: one device of one user. */
export class History {
  readonly client: string;
  readonly userId: string;
  readonly deviceId: string;
  /** `raw` clients see streams, `sdk` clients what the application is shown. */
  readonly kind: "raw" | "sdk";
  readonly entries: Entry[] = [];
  /** Wakes those who wait for something to happen. */
  onEntry: (() => void) | undefined;

  constructor(kind: "raw" | "sdk", userId: string, deviceId: string) {
    this.kind = kind;
    this.userId = userId;
    this.deviceId = deviceId;
    this.client = `${userId}/${deviceId}`;
  }

  /** Notes that something happened just now. */
  add(entry: EntryInit): void {
    this.entries.push({ atMs: performance.now(), ...entry } as Entry);
    this.onEntry?.();
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** An entry without its time. */
export type EntryInit = DistributiveOmit<Entry, "atMs">;

/** Writes histories as JSON lines, a file for each client, each beginning with who it is. */
export function writeHistories(directory: string, histories: readonly History[]): void {
  mkdirSync(directory, { recursive: true });
  for (const { client, userId, deviceId, kind, entries } of histories) {
    const lines = [{ client, userId, deviceId, kind }, ...entries].map((entry) => JSON.stringify(entry));
    writeFileSync(join(directory, `${client.replaceAll("/", "_")}.jsonl`), `${lines.join("\n")}\n`);
  }
}
