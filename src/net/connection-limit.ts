import type { Server, Socket } from "node:net";
import type { Logger } from "../model/logger.ts";
import type { CallerAddresses } from "./caller-address.ts";

/** How many connections there may be, by the names of the settings. */
export interface ConnectionLimits {
  /** The most of all ports together. */
  maxConnections: number;
  /** The most from one address, 0 for no limit. */
  maxConnectionsPerAddress: number;
}

/** How often at most the log tells that connections are turned away, in milliseconds. */
const logEveryMs = 10_000;

/** Counts the connections of several ports together, and turns away those that are too many. */
export class ConnectionLimit {
  readonly #limits: ConnectionLimits;
  readonly #addresses: CallerAddresses;
  readonly #log: Logger;
  readonly #byAddress = new Map<string, number>();
  #all = 0;
  #turnedAway = 0;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(limits: ConnectionLimits, addresses: CallerAddresses, log: Logger) {
    this.#limits = limits;
    this.#addresses = addresses;
    this.#log = log;
  }

  /** Has a server see only those connections that may stay. Call it when all else listens for them, before it accepts any. */
  guard(server: Server): void {
    const own = server.listeners("connection") as ((socket: Socket) => void)[];
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      if (!this.#admit(socket)) return;
      for (const listener of own) listener.call(server, socket);
    });
  }

  #admit(socket: Socket): boolean {
    const address = this.#addresses.ofConnection(socket.remoteAddress);
    const { maxConnections, maxConnectionsPerAddress } = this.#limits;
    const ofAddress = address === undefined ? 0 : (this.#byAddress.get(address) ?? 0);
    if (this.#all >= maxConnections) return this.#turnAway(socket, "maxConnections");
    if (maxConnectionsPerAddress > 0 && ofAddress >= maxConnectionsPerAddress)
      return this.#turnAway(socket, "maxConnectionsPerAddress");
    this.#all++;
    if (address !== undefined) this.#byAddress.set(address, ofAddress + 1);
    socket.once("close", () => {
      this.#all--;
      if (address !== undefined) this.#release(address);
    });
    return true;
  }

  #release(address: string): void {
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }

  #turnAway(socket: Socket, limit: keyof ConnectionLimits): false {
    // What has begun to arrive would otherwise be an error that nobody listens for.
    socket.on("error", () => {});
    socket.destroy();
    this.#turnedAway++;
    const nowMs = performance.now();
    if (nowMs - this.#loggedMs >= logEveryMs) {
      this.#log.warn({ limit, turnedAway: this.#turnedAway }, "too many connections");
      this.#loggedMs = nowMs;
      this.#turnedAway = 0;
    }
    return false;
  }
}
