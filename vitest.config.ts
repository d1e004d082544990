import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";

/** Browsers. They are as sensitive to a busy machine as people are, so nothing else runs beside them. */
const browsers = ["test/web/**/*.test.ts"];

/** What `npm run test:quick` leaves out as well: other servers, and what starts, kills or fills servers by the dozen. */
const slow = [
  "test/bench/**/*",
  "test/bus/nats*",
  "test/cli/{replay,store-start}",
  "test/cli/chat/chat",
  "test/cluster/**/*",
  "test/delivery/{kill,slow-reader}",
  "test/deploy/**/*",
  "test/faults/**/*",
  "test/fail-points",
  "test/fuzz/**/*",
  "test/package",
  "test/sdk/restart",
  "test/store/{migrate-store,postgres*,upgrade}",
].map((files) => `${files}.test.ts`);

// Tests start hundreds of processes. With what V8 compiled of the sources once, each starts in half the time.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/node", import.meta.url));

export default defineConfig({
  test: {
    globalSetup: ["test/support/global-setup.ts"],
    // Servers that tests start as processes must not all want the same port.
    env: { PARLANCE_HTTP_PORT: "0" },
    // Processes, because tests open sockets, start workers and end servers.
    pool: "forks",
    // More than the two cores this is meant for, as tests wait for processes and connections half of the time.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // How long tests take depends on what else the machine does, which is no fault of theirs: this ends what hangs.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: "quick",
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: [...slow, ...browsers],
        },
      },
      { extends: true, test: { name: "slow", include: slow } },
      {
        extends: true,
        test: { name: "browsers", include: browsers, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
