import { createConnection, type Socket } from "node:net";
import {
  type NatsConnection,
  NatsConnectionImpl,
  type NodeConnectionOptions,
  setTransportFactory,
} from "@nats-io/transport-node";
import { NodeTransport, nodeResolveHost } from "@nats-io/transport-node/lib/node_transport.js";

/** Options with the sockets of a connection. */
export interface OwnedOptions extends NodeConnectionOptions {
  sockets: SocketOwner;
}

/** Connects to NATS by sockets that are the caller's to end. */
export function connectOwned(options: OwnedOptions): Promise<NatsConnection> {
  // The factory is that of the whole process; a transport without an owner behaves as the library's own.
  setTransportFactory({ factory: () => new OwnedTransport(), dnsResolveFn: nodeResolveHost });
  return NatsConnectionImpl.connect(options);
}

/** The sockets of one connection and of the attempts to get it. */
export class SocketOwner {
  readonly #sockets = new Set<Socket>();
  #destroyed = false;

  add(socket: Socket): void {
    this.#sockets.add(socket);
    if (this.#destroyed) socket.destroy();
  }

  /** Closes all sockets and any that is added from now on. */
  destroy(): void {
    this.#destroyed = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Lets go of no socket: the library's transport forgets one whose server never answers, and it keeps the process alive. */
class OwnedTransport extends NodeTransport {
  override dial({ hostname, port }: { hostname: string; port: number }): Promise<Socket> {
    const socket = createConnection({ host: hostname, port, noDelay: true });
    (this.options as Partial<OwnedOptions>).sockets?.add(socket);
    return new Promise((resolve, reject) => {
      let failure = new Error("the connection was closed");
      const fail = () => reject(failure);
      socket.once("error", (error) => {
        failure = error;
      });
      socket.once("close", fail);
      socket.once("connect", () => {
        socket.off("close", fail);
        resolve(socket);
      });
    });
  }
}
