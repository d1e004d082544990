import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // Servers that tests start as processes must not all want the same port.
    env: { PARLANCE_HTTP_PORT: "0" },
    // Processes, because tests open sockets, start workers and end servers.
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
  },
});
