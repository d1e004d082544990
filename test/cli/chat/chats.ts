/** `parlance chat` in a terminal, for the tests that type and look. */

import { fileURLToPath } from "node:url";
import { openTerminal, type Terminal, type TerminalOptions } from "../../support/terminal/terminal.ts";

const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));

/** Terminals that are all ended in the end. */
export interface Chats {
  /** Starts a chat and waits until it is on the screen. */
  open: (user: string, options?: TerminalOptions, ...args: string[]) => Promise<Terminal>;
  /** Starts `parlance` in a terminal. */
  run: (args: readonly string[], options?: TerminalOptions) => Terminal;
  close: () => Promise<void>;
}

/** Opens terminals for one server. */
export function chatsWith(address: () => string): Chats {
  const terminals: Terminal[] = [];
  function run(args: readonly string[], options?: TerminalOptions): Terminal {
    const terminal = openTerminal([process.execPath, main, ...args], options);
    terminals.push(terminal);
    return terminal;
  }
  return {
    run,
    async open(user, options, ...args) {
      const terminal = run(["chat", "--as", user, "--server", address(), ...args], options);
      await terminal.until("connected");
      return terminal;
    },
    async close() {
      await Promise.all(terminals.map((terminal) => terminal.kill()));
    },
  };
}

/** Keys as terminals send them. */
export const keys = {
  enter: "\r",
  tab: "\t",
  left: "\u001b[D",
  up: "\u001b[A",
  down: "\u001b[B",
  home: "\u001b[H",
  pageUp: "\u001b[5~",
  pageDown: "\u001b[6~",
  altDown: "\u001b[1;3B",
  altEnter: "\u001b\r",
  ctrlC: "\u0003",
  ctrlP: "\u0010",
  ctrlU: "\u0015",
  ctrlW: "\u0017",
  paste: (text: string) => `\u001b[200~${text}\u001b[201~`,
};
