import { createServer } from "node:net";

const given = new Set<number>();

/**
 * Finds a free port of loopback, outside the range from which the system takes
 * the ports of clients, so that no connection gets it before a server does or
 * between two lives of that. This process is given each port once.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
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
