import type { ChannelCredentials, ChannelOptions } from "@grpc/grpc-js";
import type { EventKind } from "../../gen/parlance/chat/v1/event_pb.js";
import { checked, invalidArgument, numberOf } from "./arguments.ts";
import type { ClientEvent } from "./events.ts";
import type { Credentials, DeviceInit } from "./login.ts";
import type { BackoffOptions } from "./reconnect.ts";
import type { Transport } from "./transport.ts";

/** How to connect. */
export interface ConnectOptions {
  /** As `TransportOptions.address`, so one server or several. Not needed with `transport`. */
  address?: string | readonly string[];
  credentials: Credentials;
  /** The device that connects. The server keeps a cursor for each; by default `default`. */
  device?: DeviceInit;
  /**
   * Whether to open a stream for events; by default true. Without it the client
   * only calls.
   */
  stream?: boolean;
  /** Only these kinds of events; by default all. */
  eventKinds?: readonly EventKind[];
  /** The most events the stream replays before it is behind; by default the server's 1,000. */
  replayLimit?: number;
  /**
   * Called with each event, instead of iterating `events()`: the cheapest way to
   * take many. The next one waits for the promise, if it returns one. What it
   * does not throw on counts as taken; throwing or rejecting ends the client,
   * and the event comes again when the device connects next.
   */
  onEvent?: (event: ClientEvent) => unknown;
  /**
   * `auto`: an event is acknowledged when the application asks for the next one,
   * when `onEvent` returns, or when it closes the client. `manual`: by `ack`.
   */
  ack?: "auto" | "manual";
  /**
   * The way to catch up when more was missed than the stream replays. `fetch`: the
   * client reads the messages from the history and goes on live, so that the
   * application misses none. `event`: it gets `behind`.
   */
  onBehind?: "fetch" | "event";
  /** How long sends and calls are tried again, in milliseconds; by default 30,000. */
  deadlineMs?: number;
  /** How long `connect` tries, in milliseconds; by default 10,000. */
  connectTimeoutMs?: number;
  /** How many events wait for the application before the client stops reading; by default 1,000. */
  maxWaitingEvents?: number;
  backoff?: BackoffOptions;
  /** Connections to share with other clients; by default the client has its own. */
  transport?: Transport;
  channelCredentials?: ChannelCredentials;
  channelOptions?: ChannelOptions;
}

/**
 * Checks what a client is made with, as far as no call does.
 *
 * @throws ParlanceError INVALID_REQUEST, naming the option
 */
export function checkOptions(options: ConnectOptions): void {
  checked("options", () => {
    const { credentials, onEvent, device, backoff = {}, eventKinds = [] } = options;
    if (typeof credentials !== "object" || credentials === null)
      throw invalidArgument({ field: "credentials", description: "must be an object" });
    if ("getToken" in credentials && typeof credentials.getToken !== "function")
      throw invalidArgument({ field: "credentials.getToken", description: "must be a function" });
    if (onEvent !== undefined && typeof onEvent !== "function")
      throw invalidArgument({ field: "onEvent", description: "must be a function" });
    if (device !== undefined && (typeof device !== "object" || device === null))
      throw invalidArgument({ field: "device", description: "must be an object" });
    if (!Array.isArray(eventKinds))
      throw invalidArgument({ field: "eventKinds", description: "must be an array" });
    for (const name of ["deadlineMs", "connectTimeoutMs", "replayLimit"] as const)
      if (options[name] !== undefined) numberOf(name, options[name]);
    if (options.maxWaitingEvents !== undefined) numberOf("maxWaitingEvents", options.maxWaitingEvents, 1);
    for (const name of ["baseMs", "capMs"] as const)
      if (backoff[name] !== undefined) numberOf(`backoff.${name}`, backoff[name]);
  });
}
