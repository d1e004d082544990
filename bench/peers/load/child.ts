import { fork } from "node:child_process";
import type { Command, Done, Order, Report } from "./orders.ts";

/** Clients in a process of their own. */
export interface LoadProcess {
  /** Works for some time and resolves once all is delivered and answered. */
  run(seconds: number): Promise<Done>;
  /** How many messages it has sent in all its runs. */
  readonly messages: number;
  close(): void;
}

/** How long clients may take to connect. */
const connectMs = 30_000;
/** How long a run may take beyond its time. */
const lateMs = 25_000;

/**
 * Starts the process of a load and resolves once its clients are connected.
 *
 * @throws Error with the reason when the peer does not do what it should
 */
export async function startLoad(order: Order): Promise<LoadProcess> {
  const child = fork(new URL("main.ts", import.meta.url), { execArgv: [] });
  const close = () => {
    child.kill("SIGKILL");
  };
  process.once("exit", close);
  child.once("exit", () => process.removeListener("exit", close));
  try {
    await ask({ kind: "connect", order }, connectMs);
  } catch (error) {
    close();
    throw error;
  }
  let messages = 0;
  return {
    close,
    get messages() {
      return messages;
    },
    async run(seconds) {
      const report = await ask({ kind: "run", seconds }, seconds * 1000 + lateMs);
      if (report.kind !== "ran") throw new Error(`the load answered with ${report.kind}`);
      messages += report.done.messages;
      return report.done;
    },
  };

  function ask(command: Command, timeoutMs: number): Promise<Report> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => settle(() => reject(new Error(`no end of ${command.kind}`))), timeoutMs);
      const onMessage = (report: Report) =>
        settle(() => (report.kind === "failed" ? reject(new Error(report.why)) : resolve(report)));
      const onExit = () => settle(() => reject(new Error("the load generator ended")));
      child.on("message", onMessage);
      child.on("exit", onExit);
      child.send(command);

      function settle(how: () => void): void {
        clearTimeout(late);
        child.off("message", onMessage);
        child.off("exit", onExit);
        how();
      }
    });
  }
}
