import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { serverPinning } from "./pinning.ts";

/** A process that is measured. */
export interface Child {
  readonly pid: number;
  /** What it wrote to its standard output until it was ready. */
  readonly greeting: string;
  /** Sends it a word, if it was started to listen, and resolves with its answer. */
  ask(word: string): Promise<unknown>;
  /** Asks it to stop, and ends it when it does not. */
  close(): Promise<void>;
}

/** How to start a process. */
export interface ChildOptions {
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** What its output has in it once it is ready. */
  ready: RegExp;
  /** Whether it listens to words: a process of Node that does. */
  listens?: boolean;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const stopMs = 15_000;

/** Starts a process and resolves once it is ready. It ends with this process at the latest. */
export function startChild({
  command,
  args,
  env = {},
  ready,
  listens = false,
}: ChildOptions): Promise<Child> {
  const [program = "", ...programArgs] = [...serverPinning, command, ...args];
  const child = spawn(program, programArgs, {
    stdio: ["ignore", "pipe", "inherit", listens ? "ipc" : "ignore"],
    env: { ...process.env, NODE_OPTIONS: "", ...env },
  });
  running.add(child);
  const exited = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => resolve(String(code ?? signal)));
  });
  void exited.then(() => running.delete(child));
  return new Promise((resolve, reject) => {
    let greeting = "";
    child.stdout?.on("data", (chunk) => {
      greeting += chunk;
      if (ready.test(greeting)) resolve({ pid: child.pid as number, greeting, ask, close });
    });
    void exited.then((how) => reject(new Error(`${command} ended with ${how} before it was ready`)));
  });

  async function ask(word: string): Promise<unknown> {
    child.send(word);
    const [answer] = await once(child, "message");
    return answer;
  }

  async function close(): Promise<void> {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await exited;
    clearTimeout(late);
  }
}
