import type { ReadStream, WriteStream } from "node:tty";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { render } from "ink";
import { createElement as h } from "react";
import { type ClientEvent, type Credentials, connect, Platform } from "../typescript/index.ts";
import { Keyboard } from "./session/keyboard.ts";
import { ChatSession } from "./session/session.ts";
import { takeTerminal } from "./terminal.ts";
import { ChatView } from "./views/chat-view.ts";
import { themeFor } from "./views/theme.ts";

/** The most often the screen is written, per second. */
const maxFps = 20;

/** The options of a chat in the terminal. */
export interface ChatOptions {
  address: string;
  credentials: Credentials;
  deviceId: string;
  /** How long to try to reach the server, in milliseconds. */
  connectTimeoutMs: number;
  stdin: ReadStream;
  stdout: WriteStream;
}

/**
 * Chats until the user leaves. The terminal is then as it was.
 *
 * @returns how many messages were on their way
 * @throws ParlanceError when the server cannot be reached, or says to stay away
 */
export async function runChat({
  address,
  credentials,
  deviceId,
  connectTimeoutMs,
  stdin,
  stdout,
}: ChatOptions): Promise<number> {
  // grpc-js would write into the screen.
  setLogVerbosity(logVerbosity.NONE);
  let session: ChatSession | undefined;
  const early: ClientEvent[] = [];
  await using client = await connect({
    address,
    credentials,
    device: { deviceId, platform: Platform.TERMINAL },
    connectTimeoutMs,
    onBehind: "event",
    onEvent: (event) => (session === undefined ? void early.push(event) : session.take(event)),
  });
  session = new ChatSession(client, address, sizeOf(stdout));
  for (const event of early) session.take(event);
  try {
    await session.start();
    await drawn(session, stdin, stdout);
    return session.unsent;
  } finally {
    session.close();
  }
}

/** Draws the session and hands it what is typed, until it is done. */
async function drawn(session: ChatSession, stdin: ReadStream, stdout: WriteStream): Promise<void> {
  const releaseTerminal = takeTerminal(stdin, stdout, session);
  const keyboard = new Keyboard(session, () => {
    instance.clear();
    stdout.write("\u001b[H\u001b[J");
    stdout.emit("resize");
  });
  const resize = () => session.store.update((state) => ({ ...state, size: sizeOf(stdout) }));
  const instance = render(
    h(ChatView, {
      screen: session.screen,
      subscribe: session.frames.subscribe,
      onKey: (action) => keyboard.press(action),
      theme: themeFor(stdout.hasColors()),
    }),
    {
      stdin,
      stdout,
      // Where tests run by themselves Ink would draw nothing but the last frame.
      interactive: true,
      alternateScreen: true,
      incrementalRendering: true,
      exitOnCtrlC: false,
      patchConsole: false,
      maxFps,
    },
  );
  stdout.on("resize", resize);
  // A view that throws ends the chat rather than leaving an empty screen.
  instance.waitUntilExit().then(
    () => session.end(),
    (error: unknown) => session.end(error),
  );
  try {
    await session.done;
  } finally {
    stdout.off("resize", resize);
    instance.unmount();
    releaseTerminal();
  }
}

function sizeOf({ columns, rows }: WriteStream): { columns: number; rows: number } {
  return { columns: columns || 80, rows: rows || 24 };
}
