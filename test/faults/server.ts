import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { checkStore } from "../../src/store/sqlite/file/check.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { makeDataDir, type ServeChild, type ServeOptions, startServe } from "../support/serve-child.ts";
import type { Violation } from "./checker/violation.ts";
import { type Dump, dumpStore } from "./dump.ts";

/** How to run the server of a fault. */
export interface FaultServerOptions extends ServeOptions {
  /** Further options of `parlance serve`. */
  args?: readonly string[];
  /** Fail points, as `PARLANCE_FAILPOINTS` takes them. */
  failPoints?: string;
  /** Where its data is. By default a folder of its own, removed in the end. */
  dataDir?: string;
  /** The address to listen on; by default loopback. */
  host?: string;
}

/** An end of a server's process. */
export interface ServerExit {
  /** Its exit code, or the signal that ended it. */
  how: number | NodeJS.Signals;
  /** Whether the harness brought it about. */
  asked: boolean;
  /** What the process wrote last. */
  lastWords?: string;
}

/** What clients talk to: one server, or several that share a store. */
export interface FaultService {
  /** Its servers. */
  readonly servers: readonly FaultServer[];
  /** Reads the whole log from the store, and finds what is wrong with the store itself. No server runs. */
  inspect: () => Promise<{ dump: Dump; violations: Violation[] }>;
}

/**
 * A server to be disturbed: one port and one folder of data, over as many
 * processes as it takes. It does not come back by itself.
 */
export class FaultServer implements FaultService {
  readonly servers = [this];
  readonly dataDir: string;
  readonly port: number;
  readonly address: string;
  /** Every end of a process so far. */
  readonly exits: ServerExit[] = [];
  #options: FaultServerOptions;
  readonly #removeData: () => void;
  #child: ServeChild | undefined;
  #asked = false;
  /** What the processes before this one wrote. */
  #earlierLog = "";

  /** @param port outside the range the system takes ports from, so that nobody else gets it between two lives */
  constructor(port: number, options: FaultServerOptions) {
    const data = options.dataDir === undefined ? makeDataDir() : undefined;
    this.dataDir = options.dataDir ?? (data?.path as string);
    this.#removeData = () => data?.remove();
    this.#options = options;
    this.port = port;
    this.address = `${options.host ?? "127.0.0.1"}:${port}`;
  }

  /** The SQLite file. */
  get dataFile(): string {
    return join(this.dataDir, "parlance.db");
  }

  /** The process id. */
  get pid(): number {
    return this.#running.pid;
  }

  /** Whether a process runs. */
  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves when the present process has ended. */
  get exited(): Promise<unknown> {
    return this.#child?.exited ?? Promise.resolve();
  }

  /** Everything written to the standard error output: log lines. */
  get log(): string {
    return this.#earlierLog + (this.#child?.stderr() ?? "");
  }

  /**
   * Starts a process and waits until it listens.
   *
   * @param change options that differ from now on
   * @returns how many milliseconds it took
   */
  async start(change: FaultServerOptions = {}): Promise<number> {
    this.#options = { ...this.#options, ...change };
    const {
      args = [],
      failPoints,
      nodeArgs = [],
      env = {},
      wrapper = [],
      main,
      host = "127.0.0.1",
    } = this.#options;
    const startMs = performance.now();
    const child = await startServe(this.dataDir, ["--host", host, "--port", String(this.port), ...args], {
      nodeArgs: [...nodeArgs, "--conditions=parlance-test-build"],
      env: { ...env, ...(failPoints !== undefined && { PARLANCE_FAILPOINTS: failPoints }) },
      wrapper,
      ...(main !== undefined && { main }),
    });
    this.#child = child;
    this.#asked = false;
    void child.exited.then((how) => {
      const lastWords = child.stderr().trimEnd().slice(-1_500);
      this.exits.push({ how, asked: this.#asked, lastWords });
      // A line that was cut off ends here.
      this.#earlierLog += child.stderr().replace(/[^\n]+$/, "");
      this.#child = undefined;
    });
    return performance.now() - startMs;
  }

  /** Says that the process is going to end by itself, as at a fail point. */
  expectExit(): void {
    this.#asked = true;
  }

  /** Ends the process with SIGKILL and waits. */
  async kill(): Promise<void> {
    if (this.#child === undefined) return;
    this.#asked = true;
    await this.#child.kill();
  }

  /** Asks the process to stop and waits for its exit code. */
  async terminate(): Promise<number | NodeJS.Signals> {
    const child = this.#running;
    this.#asked = true;
    child.signal("SIGTERM");
    const how = await child.exited;
    // A clean end on request is what should happen; anything else is not.
    if (how !== 0) (this.exits.at(-1) as ServerExit).asked = false;
    return how;
  }

  /** Stops the process from running, without its knowledge. */
  freeze(): void {
    this.#running.signal("SIGSTOP");
  }

  /** Lets a frozen process go on. */
  thaw(): void {
    this.#running.signal("SIGCONT");
  }

  /** How much memory the process has. */
  residentBytes(): number {
    return this.#running.residentBytes();
  }

  /** How much CPU time the process has used, in milliseconds. */
  cpuMs(): number {
    return cpuMsOf(this.pid);
  }

  /** Asks the process what it has open: the line it logs on SIGUSR2. */
  async status(): Promise<ServerStatus> {
    const child = this.#running;
    const before = child.stderr().length;
    child.signal("SIGUSR2");
    for (;;) {
      for (const line of child.stderr().slice(before).split("\n").slice(0, -1)) {
        if (!line.startsWith("{")) throw new Error(`the server wrote: ${child.stderr().slice(before)}`);
        const parsed = JSON.parse(line) as { msg?: string } & ServerStatus;
        if (parsed.msg === "status") return parsed;
      }
      await delay(10);
    }
  }

  async inspect(): Promise<{ dump: Dump; violations: Violation[] }> {
    const violations: Violation[] = [];
    for (const { rule, problems } of checkStore(this.dataFile)) {
      for (const problem of problems)
        violations.push({ rule: "I3", text: `not true that ${rule}: ${problem}` });
    }
    const store = await createSqliteStore({ path: this.dataFile });
    try {
      return { dump: await dumpStore(store), violations };
    } finally {
      await store.close();
    }
  }

  /** Ends the process if there is one and removes the data. */
  async close(): Promise<void> {
    if (this.#child !== undefined) {
      this.thaw();
      await this.kill();
    }
    this.#removeData();
  }

  get #running(): ServeChild {
    if (this.#child === undefined) {
      const last = this.exits.at(-1);
      throw new Error(`the server does not run; it ended with ${last?.how}: ${this.log.slice(-2_000)}`);
    }
    return this.#child;
  }
}

/** How much CPU time a process has used, in milliseconds. */
export function cpuMsOf(pid: number): number {
  // Behind the name, which may hold anything: utime and stime, in ticks of 10 ms.
  const [, fields = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(/\) (?=[A-Z] )/);
  const [utime, stime] = fields.split(" ").slice(11, 13);
  return (Number(utime) + Number(stime)) * 10;
}

/** What a server says of itself on SIGUSR2. */
export interface ServerStatus {
  sessions: number;
  users: number;
  groups: number;
  calls: number;
  rssBytes: number;
  heapUsedBytes: number;
  activeHandles: number;
}
