import { join } from "node:path";
import type { Peer } from "../peer.ts";
import { cacheFolder } from "../setup/cache.ts";
import { npmPackages } from "../setup/needs.ts";
import { freePort, startServer } from "./process.ts";

/** Socket.IO: a library, here in a server of a few lines that keeps nothing. */
export const socketIo: Peer = {
  name: "socket.io",
  mode: "rooms",
  durable: false,
  settings:
    "WebSocket only, no compression, ws with its native add-on bufferutil, the HTTP request of each connection let go, NODE_ENV=production",
  protocol: "socketIo",
  needs: [npmPackages("socket.io@4.8.4", "bufferutil@4.1.0")],
  async start(folder) {
    const port = await freePort();
    const server = await startServer({
      command: process.execPath,
      args: [new URL("socket-io-server.ts", import.meta.url).pathname, String(port), cacheFolder("node")],
      env: { NODE_ENV: "production" },
      logFile: join(folder, "log"),
      port,
    });
    return { port, pids: [server.pid], close: () => server.close() };
  },
};
