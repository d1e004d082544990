import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // Servers that tests start as processes must not all want the same port.
    env: { PARLANCE_HTTP_PORT: "0" },
    // Processes, because tests open sockets, start workers and end servers.
    pool: "forks",
    // Most of their time tests wait for servers and clocks: two at a time also where there are two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
  },
});
