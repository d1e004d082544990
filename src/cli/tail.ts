import type { DescMessage, JsonValue } from "@bufbuild/protobuf";
import { defineCommand } from "citty";
import { messageOf } from "../../clients/model/entries.ts";
import {
  type ClientEvent,
  type Credentials,
  connect,
  MembershipChange,
  type Place,
  Platform,
} from "../../clients/typescript/index.ts";
import { CursorSchema } from "../../gen/parlance/chat/v1/cursor_pb.js";
import { ServerEventSchema } from "../../gen/parlance/chat/v1/event_pb.js";
import { jsonOf } from "../rpc/connect/json.ts";
import { callerArgs, connectTimeoutMs, credentialsOf, serverArg, withServer } from "./options.ts";
import { onStopSignals } from "./stop-signals.ts";

/** `parlance tail`: prints what a user receives until it is stopped. */
export const tailCommand = defineCommand({
  meta: { name: "tail", description: "Print what a user receives, as it happens." },
  args: {
    json: { type: "boolean", description: "One JSON object a line, as the protos say." },
    ...callerArgs,
    ...serverArg,
  },
  async run({ args }) {
    const stop = new AbortController();
    onStopSignals(
      ["SIGINT", "SIGTERM"],
      () => stop.abort(),
      () => process.exit(1),
    );
    // Nobody reads on: `parlance tail | head`.
    process.stdout.once("error", () => stop.abort());
    await withServer(args.server, () =>
      tail({
        address: args.server,
        credentials: credentialsOf(args),
        deviceId: args.device,
        write: (event) => process.stdout.write(`${args.json ? formatJson(event) : formatLine(event)}\n`),
        stop: stop.signal,
      }),
    );
  },
});

/** Hands a user's events on until it is stopped. Connections that break are made again. */
export async function tail(options: {
  address: string;
  credentials: Credentials;
  deviceId: string;
  write: (event: ClientEvent) => void;
  stop: AbortSignal;
}): Promise<void> {
  const { address, credentials, deviceId, write, stop } = options;
  const device = { deviceId, platform: Platform.TERMINAL };
  await using client = await connect({ address, credentials, device, connectTimeoutMs });
  stop.addEventListener("abort", () => void client.close(), { once: true });
  if (stop.aborted) return;
  for await (const event of client.events()) write(event);
}

/** Writes an event as one line for people. What others wrote cannot move the terminal's cursor. */
export function formatLine(event: ClientEvent): string {
  return printable(describe(event));
}

function describe(event: ClientEvent): string {
  switch (event.case) {
    case "message": {
      const { conversationId, seq, senderId } = event.value;
      return `${conversationId} ${seq} ${senderId}: ${messageOf(event.value).text}`;
    }
    case "membershipChanged": {
      const { conversationId, seq, change, members } = event.value;
      const names = members.map((member) => member.userId).join(", ");
      return `${conversationId} ${seq} ${(MembershipChange[change] ?? "changed").toLowerCase()}: ${names}`;
    }
    case "groupChanged": {
      const { conversationId, seq, updaterId, disbandTime } = event.value;
      return `${conversationId} ${seq} ${disbandTime ? "disbanded" : "settings changed"} by ${updaterId}`;
    }
    case "receipt":
      return `${event.value.conversationId} ${event.value.userId} has read up to ${event.value.upToSeq}`;
    case "typing":
      return `${event.value.conversationId} ${event.value.userId} ${event.value.typing ? "types" : "stopped typing"}`;
    case "presence":
      return `${event.value.userId} is ${event.value.online ? "online" : "offline"}`;
    case "caughtUp":
      return "-- live --";
    case "behind":
      return "-- more was missed than is replayed --";
    case "reset":
      return "-- the server's log is another one now --";
    default:
      return describeOther(event);
  }
}

/** Names what there are no words for yet, by its place in the log. */
function describeOther({ case: name, place }: { case: string; place: Place }): string {
  return `${place.conversationId} ${place.seq} ${name}`;
}

/** Writes an event as one JSON object: its case, its value as Protobuf writes it in JSON, its cursor. */
export function formatJson(event: ClientEvent): string {
  const cursor = event.cursor === undefined ? {} : { cursor: jsonOf(CursorSchema, event.cursor) };
  return JSON.stringify({ [event.case]: inJson(event), ...cursor });
}

function inJson(event: ClientEvent): JsonValue {
  if (event.case === "reset") return { ...event.value };
  return jsonOf(ServerEventSchema.field[event.case].message as DescMessage, event.value);
}

function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => JSON.stringify(character).slice(1, -1));
}
