import { defineCommand } from "citty";
import { fail } from "./errors.ts";
import { callerArgs, connectTimeoutMs, credentialsOf, serverArg, withServer } from "./options.ts";

/** `parlance chat`: a chat in the terminal. */
export const chatCommand = defineCommand({
  meta: { name: "chat", description: "Chat in the terminal." },
  args: {
    ...callerArgs,
    // Not that of `tail`, so that both can run at a time.
    device: { ...callerArgs.device, default: "terminal" },
    ...serverArg,
  },
  async run({ args }) {
    const credentials = credentialsOf(args);
    const { stdin, stdout } = process;
    if (!stdin.isTTY || !stdout.isTTY) {
      fail(
        "the chat needs a terminal, for its input and its output",
        "in scripts use `parlance tail` to receive and `parlance send` to send",
      );
    }
    const { runChat } = await import("../../clients/terminal/run.ts");
    const options = {
      address: args.server,
      credentials,
      deviceId: args.device,
      connectTimeoutMs,
      stdin,
      stdout,
    };
    const unsent = await withServer(args.server, () => runChat(options));
    if (unsent > 0) {
      fail(
        `${unsent === 1 ? "1 message was" : `${unsent} messages were`} still on the way`,
        "it is not known whether they arrived; look into the conversation",
      );
    }
  },
});
