import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type EntryInit, History, type Operation } from "../history.ts";
import type { ChatClient } from "./chat-client.ts";

/** One line that the process writes. */
export type Told =
  | { entry: EntryInit }
  | { performed: number; done: boolean }
  | { state: { live: boolean; reconnects: number } };

/** One line that the process reads. */
export interface Asked {
  number: number;
  operation: Operation;
}

const script = fileURLToPath(new URL("./sdk-process-main.ts", import.meta.url));

/** An application on the SDK in a process of its own, to be frozen and killed. */
export class SdkProcess implements ChatClient {
  readonly history: History;
  readonly userId: string;
  live = false;
  reconnects = 0;
  readonly #address: string;
  readonly #wrapper: readonly string[];
  readonly #bodies = new Set<string>();
  readonly #performing = new Map<number, (done: boolean) => void>();
  #child: ChildProcess | undefined;
  #performed = 0;

  /** @param wrapper a command to run node with, such as `ip netns exec NAME`; it has to become node */
  constructor(address: string, userId: string, wrapper: readonly string[] = []) {
    this.#address = address;
    this.#wrapper = wrapper;
    this.userId = userId;
    this.history = new History("sdk", userId, "default");
  }

  async start(): Promise<void> {
    const [command = "", ...args] = [...this.#wrapper, process.execPath, script, this.#address, this.userId];
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => this.#hear(JSON.parse(line) as Told));
    while (!this.live) {
      if (child.exitCode !== null) throw new Error(`the process of ${this.userId} ended`);
      await delay(20);
    }
  }

  perform(operation: Operation): Promise<boolean> {
    const number = ++this.#performed;
    return new Promise((resolve) => {
      this.#performing.set(number, resolve);
      this.#child?.stdin?.write(`${JSON.stringify({ number, operation } satisfies Asked)}\n`);
    });
  }

  has(body: string): boolean {
    return this.#bodies.has(body);
  }

  /** Stops the process from running, without its knowledge. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Lets it go on. */
  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    this.live = false;
    for (const resolve of this.#performing.values()) resolve(false);
  }

  #hear(told: Told): void {
    if ("entry" in told) {
      // Told anew: its clock is another one.
      const { atMs: _, ...entry } = told.entry as EntryInit & { atMs?: number };
      this.history.add(entry as EntryInit);
      if (entry.type === "shown" && entry.event.body !== undefined) this.#bodies.add(entry.event.body);
    } else if ("state" in told) {
      ({ live: this.live, reconnects: this.reconnects } = told.state);
    } else {
      this.#performing.get(told.performed)?.(told.done);
      this.#performing.delete(told.performed);
    }
  }
}
