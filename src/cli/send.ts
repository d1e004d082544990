import { defineCommand } from "citty";
import { type Credentials, connect, type SendResult } from "../../clients/typescript/index.ts";
import { failUsage } from "./errors.ts";
import { callerArgs, connectTimeoutMs, credentialsOf, serverArg, withServer } from "./options.ts";

/** `parlance send`: sends one message and prints where it stands. */
export const sendCommand = defineCommand({
  meta: { name: "send", description: "Send a message to a user or a group." },
  args: {
    text: { type: "positional", required: true, description: "The text." },
    to: { type: "string", valueHint: "user", description: "The user to send to." },
    group: { type: "string", valueHint: "group", description: "The group to send to, in place of --to." },
    ...callerArgs,
    ...serverArg,
  },
  async run({ args }) {
    const credentials = credentialsOf(args);
    const target = targetOf(args.to, args.group);
    if (args._.length > 1) failUsage(`${args._[1]} is one word too many`, "put the text in quotes");
    const options = { address: args.server, credentials, deviceId: args.device, target, text: args.text };
    const { messageId, conversationId, seq } = await withServer(args.server, () => sendOnce(options));
    process.stdout.write(`${messageId} is number ${seq} of ${conversationId}\n`);
  },
});

/** Sends one message, without opening a stream. */
export async function sendOnce(options: {
  address: string;
  credentials: Credentials;
  deviceId: string;
  target: { recipientId: string } | { groupId: string };
  text: string;
}): Promise<SendResult> {
  const { address, credentials, deviceId, target, text } = options;
  const client = await connect({
    address,
    credentials,
    device: { deviceId },
    stream: false,
    connectTimeoutMs,
  });
  try {
    return "groupId" in target
      ? await client.sendGroup(target.groupId, text)
      : await client.sendDirect(target.recipientId, text);
  } finally {
    await client.close();
  }
}

function targetOf(
  to: string | undefined,
  group: string | undefined,
): { recipientId: string } | { groupId: string } {
  if (to && group) failUsage("--to and --group are both given", "a message goes to one of them");
  if (to) return { recipientId: to };
  if (group) return { groupId: group };
  failUsage("nobody to send to", "name a user with --to or a group with --group");
}
