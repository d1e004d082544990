import type { ReadStream, WriteStream } from "node:tty";

/**
 * DECAWM off: a line that a terminal finds longer than expected, as some do
 * with emoji, is then cut and not broken, and moves nothing below it.
 */
const noWrap = "\u001b[?7l";
const wrap = "\u001b[?7h";

/** What is told when the terminal or the process is to end. */
interface Ends {
  end(error?: unknown): void;
}

/**
 * Prepares a terminal for a program that draws on all of it, and sees to it that
 * the program ends when the terminal goes away, on signals, and on errors nobody
 * foresaw: only then is the screen given back before the error is printed.
 *
 * @returns what to call to give the terminal back
 */
export function takeTerminal(stdin: ReadStream, stdout: WriteStream, program: Ends): () => void {
  const stop = () => program.end();
  const fail = (error: unknown) => program.end(error);
  const restore = () => {
    stdout.write(wrap);
    stdin.setRawMode(false);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, stop);
  process.on("uncaughtException", fail);
  process.on("exit", restore);
  stdin.on("end", stop);
  stdin.on("error", stop);
  // A terminal that is gone refuses what is still written.
  stdout.on("error", stop);
  stdout.write(noWrap);
  // Before anything is drawn: Enter, typed as soon as there is something to see, would come as a line feed.
  stdin.setRawMode(true);
  return () => {
    for (const signal of signals) process.off(signal, stop);
    process.off("uncaughtException", fail);
    process.off("exit", restore);
    stdin.off("end", stop);
    stdin.off("error", stop);
    restore();
  };
}
