import { setTimeout as delay } from "node:timers/promises";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { connect } from "../support/connect.ts";
import type { FaultContext } from "./context.ts";

/** What a server says of its health, over time. */
export interface HealthWatch {
  /** Whether it says SERVING; undefined while nobody answers. */
  readonly serving: boolean | undefined;
  /**
   * Waits until the server says it serves, or does not.
   *
   * @returns how many milliseconds it took; undefined when it was not within `timeoutMs`
   */
  until: (serving: boolean, timeoutMs: number) => Promise<number | undefined>;
}

/** Asks a server 20 times a second how it is, as a load balancer would. */
export function watchHealth(context: FaultContext, address: string): HealthWatch {
  const { health, close } = connect(address);
  let serving: boolean | undefined;
  let closed = false;
  async function ask(): Promise<void> {
    while (!closed) {
      try {
        const { status } = await health.check({}, { signal: AbortSignal.timeout(2_000) });
        serving = status === ServingStatus.SERVING;
      } catch {
        serving = undefined;
      }
      await delay(50);
    }
  }
  const asking = ask();
  context.defer(async () => {
    closed = true;
    await asking;
    close();
  });
  return {
    get serving() {
      return serving;
    },
    async until(wanted, timeoutMs) {
      const fromMs = performance.now();
      while (serving !== wanted) {
        if (performance.now() - fromMs > timeoutMs) return undefined;
        await delay(10);
      }
      return performance.now() - fromMs;
    },
  };
}
