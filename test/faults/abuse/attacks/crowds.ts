/** One address that takes up room. */

import { connect as dial, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Attack } from "../attack.ts";

/** Loopback, and another address than that of everyone else. */
const attackersAddress = "127.0.0.66";
const maxConnections = 200;
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const manyConnections: Attack = {
  id: "D10",
  ci: true,
  name: "many-connections",
  title: "one address opens connections to both ports, as fast as it goes, and keeps them",
  args: ["--exempt-addresses", "none", "--max-connections-per-address", String(maxConnections)],
  async run({ address, httpAddress, signal, going }) {
    const ports = [address, httpAddress].map((each) => Number(each.split(":")[1]));
    const open = new Set<Socket>();
    let tries = 0;
    let most = 0;
    while (!signal.aborted) {
      // So many under way that the system keeps up.
      for (let n = 0; n < 10; n++) {
        const port = ports[tries++ % 2] as number;
        const socket = dial({ port, host: "127.0.0.1", localAddress: attackersAddress });
        socket.on("error", () => {});
        socket.write(preface, "latin1");
        // The server's SETTINGS show that it has taken the connection.
        socket.once("data", () => {
          open.add(socket);
          most = Math.max(most, open.size);
          going();
        });
        socket.once("close", () => open.delete(socket));
      }
      await delay(2);
    }
    for (const socket of open) socket.destroy();
    return {
      figure: `${most} of ${tries} connections taken`,
      problems: most > maxConnections ? [`${most} connections of one address were open`] : [],
    };
  },
};

/** One address that takes up room. */
export const crowdAttacks: readonly Attack[] = [manyConnections];
