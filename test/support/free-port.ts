import { createServer } from "node:net";

const given = new Set<number>();

/** Each of the processes that run test files beside each other has a range of its own. */
const [first, count] = process.env.VITEST_POOL_ID
  ? [20_000 + (Number(process.env.VITEST_POOL_ID) % 12) * 1_000, 1_000]
  : [20_000, 12_000];

/**
 * Finds a free port of loopback, outside the range from which the system takes
 * the ports of clients, so that no connection gets it before a server does or
 * between two lives of that, and of no other test file that runs now. This process is given each port once.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
