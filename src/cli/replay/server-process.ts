/**
 * The process of an embedded server: started by `embedded-server.ts` with the
 * folder of its store, ended by the message `stop` or by the end of the process
 * that started it.
 */

import { rmSync } from "node:fs";
import { loadConfig } from "../../config/config.ts";
import { startServer } from "../../host/server.ts";
import { createLogger } from "../../telemetry/logger.ts";
import type { ServerMessage } from "./embedded-server.ts";

const [, , dataDir = ""] = process.argv;

function tell(message: ServerMessage): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

// Those go to the process that started this one, which then says what to do.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.on("disconnect", () => {
  // When that process was killed, nobody else is left to remove the store.
  rmSync(dataDir, { recursive: true, force: true });
  process.exit();
});

try {
  // Whoever measures should not measure the log.
  const config = loadConfig({
    options: { dataDir, port: "0", http: "off", logLevel: "warn", drainGraceMs: "1000" },
    env: {},
  });
  const server = await startServer(config, createLogger(config));
  process.on("message", async () => {
    await server.close();
    process.disconnect();
  });
  await tell({ listening: server.address });
} catch (error) {
  await tell({ failed: error instanceof Error ? error.message : String(error) });
  process.exit(1);
}
