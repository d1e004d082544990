import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A server of its own process, on a store that is thrown away. */
export interface EmbeddedServer {
  /** `host:port` where it listens. */
  address: string;
  /** Ends it and removes its store. */
  close(): Promise<void>;
}

/** A message from the server process to the one that started it. */
export type ServerMessage = { listening: string } | { failed: string };

/**
 * Starts a server beside this process, so that each has a core. It ends when
 * this process does, however that ends.
 */
export async function startEmbeddedServer(): Promise<EmbeddedServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "parlance-replay-"));
  // Built, this file is JavaScript, and so is the other.
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const child = fork(new URL(`./server-process.${extension}`, import.meta.url), [dataDir], {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async () => {
    if (child.connected) child.send("stop");
    const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await exited;
    clearTimeout(late);
    await rm(dataDir, { recursive: true, force: true });
  };

  try {
    const address = await new Promise<string>((resolve, reject) => {
      child.on("message", (message: ServerMessage) => {
        if ("listening" in message) resolve(message.listening);
        else reject(new Error(message.failed));
      });
      child.once("error", reject);
      void exited.then(() => reject(new Error("the server ended before it listened")));
    });
    return { address, close };
  } catch (error) {
    await close();
    throw error;
  }
}
