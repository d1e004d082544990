import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { serverPinning } from "../../lib/pinning.ts";

/** A process of a peer's server. */
export interface ServerProcess {
  readonly pid: number;
  /** Ends it and resolves once it is gone. */
  close(): Promise<void>;
}

/** How to start one. */
export interface ServerOptions {
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** Where what it prints goes. */
  logFile: string;
  /** The port that it listens on once it is ready. */
  port: number;
  /** What ends it. Default `SIGKILL`: its data is thrown away, so it need not put anything in order. */
  stopSignal?: NodeJS.Signals;
}

const readyMs = 30_000;
const stopMs = 5_000;
const pollMs = 50;

/**
 * Starts a server and resolves once it listens. It ends with this process at
 * the latest.
 *
 * @throws Error with the end of what it printed when it ends before, or takes too long
 */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const { command, args, env = {}, cwd, logFile, port, stopSignal = "SIGKILL" } = options;
  const log = openSync(logFile, "a");
  const [program = "", ...programArgs] = [...serverPinning, command, ...args];
  const child = spawn(program, programArgs, {
    stdio: ["ignore", log, log],
    // A group of its own, so that what it starts in turn can be ended with it.
    detached: true,
    env: { ...process.env, NODE_OPTIONS: "", ...env },
    ...(cwd !== undefined && { cwd }),
  });
  closeSync(log);
  let problem: string | undefined;
  child.on("error", (error) => {
    problem = error.message;
  });
  child.on("exit", (code, signal) => {
    problem ??= `${command} ended with ${code ?? signal}`;
    process.off("exit", killGroup);
  });
  process.on("exit", killGroup);
  const deadlineMs = performance.now() + readyMs;
  while (!(await listens(port))) {
    if (problem === undefined && performance.now() > deadlineMs) problem = `${command} does not listen`;
    if (problem !== undefined) {
      killGroup();
      throw new Error(`${problem}: ${readFileSync(logFile, "utf8").trim().slice(-400)}`);
    }
    await sleep(pollMs);
  }
  return { pid: child.pid as number, close };

  async function close(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(stopSignal);
    const late = setTimeout(killGroup, stopMs);
    await exited;
    clearTimeout(late);
  }

  function killGroup(): void {
    try {
      process.kill(-(child.pid as number), "SIGKILL");
    } catch {
      // It is gone.
    }
  }
}

/** Returns a port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
