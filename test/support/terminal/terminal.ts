/** A command in a pseudo-terminal: keys go in, a screen comes out. Needs Python 3. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { TerminalScreen } from "./screen.ts";

const script = fileURLToPath(new URL("./in-terminal.py", import.meta.url));

/** How a command in a terminal ended. */
export interface Ended {
  /** Its exit code, or the negative number of the signal that ended it. */
  code: number;
  /** Whether the terminal's modes are as before; null after a hang-up. */
  restored: boolean | null;
}

/** How to start a command in a terminal. */
export interface TerminalOptions {
  columns?: number;
  rows?: number;
  env?: Readonly<Record<string, string>>;
}

/** A command that runs in a terminal. */
export interface Terminal {
  screen: TerminalScreen;
  /** All it has written so far, as it came. */
  output: () => string;
  /** The id of the command's process. */
  pid: () => number;
  /** Types; what is given in one go arrives in one go. */
  type: (keys: string) => void;
  /** Waits until the screen is as wanted. */
  until: (condition: string | RegExp | ((screen: TerminalScreen) => boolean), what?: string) => Promise<void>;
  resize: (columns: number, rows: number) => void;
  /** Closes the terminal, as its window would. */
  hangUp: () => void;
  ended: Promise<Ended>;
  /** Ends the command at once, if it still runs. */
  kill: () => Promise<void>;
}

/** Starts a command in a terminal of its own. */
export function openTerminal(
  command: readonly string[],
  { columns = 80, rows = 24, env = {} }: TerminalOptions = {},
): Terminal {
  const child = spawn("python3", [script, String(columns), String(rows), ...command], {
    stdio: ["pipe", "pipe", "inherit", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      TERM: "xterm-256color",
      TZ: "UTC",
      LANG: "C.UTF-8",
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      ...env,
    },
  });
  const [stdin, stdout, , orders, reports] = child.stdio as unknown as [
    NodeJS.WritableStream,
    NodeJS.ReadableStream,
    null,
    NodeJS.WritableStream,
    NodeJS.ReadableStream,
  ];
  for (const stream of [stdin, orders]) {
    stream.on("error", () => {
      // The command has ended; that is told elsewhere.
    });
  }
  const screen = new TerminalScreen(columns, rows);
  let output = "";
  let report = "";
  stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    screen.write(chunk);
  });
  reports.setEncoding("utf8").on("data", (chunk: string) => {
    report += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      const last = report.split("\n").find((line) => line.includes('"code"'));
      if (last === undefined) reject(new Error("the pseudo-terminal ended without a word"));
      else resolve(JSON.parse(last) as Ended);
    });
  });
  ended.catch(() => {
    // Told to who waits for it.
  });
  return {
    screen,
    output: () => output,
    pid: () => (JSON.parse(report.split("\n")[0] ?? "") as { pid: number }).pid,
    type: (keys) => void stdin.write(keys),
    async until(condition, what = String(condition)) {
      const deadline = performance.now() + 120_000;
      const holds = () =>
        typeof condition === "function"
          ? condition(screen)
          : typeof condition === "string"
            ? screen.text.includes(condition)
            : condition.test(screen.text);
      while (!holds()) {
        if (performance.now() > deadline) throw new Error(`not on the screen: ${what}\n${screen.text}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 1_000);
          stdout.once("data", () => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
    },
    resize(newColumns, newRows) {
      screen.resize(newColumns, newRows);
      orders.write(`resize ${newColumns} ${newRows}\n`);
    },
    hangUp: () => void orders.write("hangup\n"),
    ended,
    async kill() {
      (orders as NodeJS.WritableStream & { end: () => void }).end();
      await ended.catch(() => undefined);
    },
  };
}
