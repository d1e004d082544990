import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";
import type { Direction } from "./disturb/proxy.ts";

/** Where and how a relay ends each connection. */
export interface Cut {
  direction: Direction;
  /** After exactly so many bytes in that direction; at least 1. */
  afterBytes: number;
  /** With an end of the stream, or with a reset. */
  how: "fin" | "rst";
}

/** What a relay does besides passing bytes on. */
export interface RelayOptions {
  /** The address to listen on; by default loopback. */
  host?: string;
  cut?: Cut;
  /** Called when a client has connected, whether or not the server is there. */
  onAccept?: () => void;
  /** Called when the server has accepted the connection made for a client. */
  onReach?: () => void;
}

/** A way to a server that passes on bytes as they come, and ends of connections. */
export interface Relay {
  /** Where clients connect, as `host:port`. */
  readonly address: string;
  /** How many bytes came in each direction. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Resets all connections and stops. */
  close: () => Promise<void>;
}

/**
 * Starts a relay. Where `FaultProxy` harms what goes through it, this one is
 * for looking on: it tells of connections, cuts them at one byte, and can
 * listen where other hosts reach it.
 */
export async function startRelay(
  target: string,
  { host = "127.0.0.1", cut, onAccept = () => {}, onReach = () => {} }: RelayOptions = {},
): Promise<Relay> {
  const colon = target.lastIndexOf(":");
  const [targetHost, targetPort] = [target.slice(0, colon), Number(target.slice(colon + 1))];
  const bytes = { up: 0, down: 0 };
  const pairs = new Set<readonly [Socket, Socket]>();

  const server = createServer({ noDelay: true }, (near) => {
    onAccept();
    const far = dial({ host: targetHost, port: targetPort, noDelay: true }, onReach);
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = (how: Cut["how"]) => {
      for (const socket of pair) how === "rst" ? reset(socket) : socket.destroySoon();
    };
    for (const [direction, from, to] of [
      ["up", near, far],
      ["down", far, near],
    ] as const) {
      let left = cut?.direction === direction ? cut.afterBytes : Number.POSITIVE_INFINITY;
      from.on("data", (chunk) => {
        const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
        if (part.length === 0) return;
        left -= part.length;
        bytes[direction] += part.length;
        const hasRoom = to.write(part, () => left === 0 && end(cut?.how ?? "fin"));
        if (hasRoom) return;
        from.pause();
        to.once("drain", () => from.resume());
      });
      // What went wrong on one side shall not look like an end on the other.
      from.on("error", () => end("rst"));
      from.on("close", () => {
        to.destroySoon();
        pairs.delete(pair);
      });
    }
  });
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as { port: number };

  return {
    address: `${host}:${port}`,
    bytes,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const pair of pairs) for (const socket of pair) reset(socket);
      await closed;
    },
  };
}

function reset(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}
