import type { Channel, ChannelCredentials, ChannelOptions } from "@grpc/grpc-js";
import { createChannel } from "nice-grpc";

/** How to reach a server. */
export interface TransportOptions {
  /**
   * `host:port`, or `https://host:port` for TLS. Several, in an array or with
   * commas between them, are servers that do the same: a client begins with a
   * random one and goes on to the next when one fails or is about to stop.
   */
  address: string | readonly string[];
  /** The channel's credentials; by default what the address says. */
  channelCredentials?: ChannelCredentials | undefined;
  /** Further grpc-js channel options; they win over the client's own. */
  channelOptions?: ChannelOptions | undefined;
  /**
   * How many clients share one connection. By default 1. Servers take 100
   * streams a connection, and unary calls need some of them.
   */
  clientsPerConnection?: number | undefined;
}

const defaultOptions: ChannelOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // Channels would otherwise share their connections, and a new channel would
  // not be a new connection.
  "grpc.use_local_subchannel_pool": 1,
  // The client has its own backoff.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
};

/** The connections to one server, or to several that do the same. Several clients may share it. */
export interface Transport {
  /** Where it leads; several addresses have commas between them. */
  readonly address: string;
  /** How many servers it leads to. */
  readonly servers: number;
  /**
   * Returns a connection that is not retired, with room for one more client.
   * New clients are spread evenly over the servers.
   *
   * @param left the connection that a client leaves, for one to the next server
   */
  acquire(left?: Connection): Connection;
}

/** A channel and who uses it. It closes when it is retired or unused and nobody holds it. */
export interface Connection {
  readonly channel: Channel;
  /** Where it leads. */
  readonly address: string;
  /** Has nobody acquire it again: it failed, or the server is about to stop. */
  retire(): void;
  /** Adds a holder, for as long as a stream lives on it. */
  hold(): void;
  /** Ends what `Transport.acquire` or `hold` began. */
  release(): void;
}

/**
 * Creates a transport. It opens nothing before a client needs it.
 *
 * @throws TypeError when there is no address
 */
export function createTransport(options: TransportOptions): Transport {
  const { channelCredentials, clientsPerConnection = 1 } = options;
  const addresses = addressesIn(options.address);
  const channelOptions = { ...defaultOptions, ...options.channelOptions };
  const open = new Set<PooledConnection>();
  let clients = Math.floor(Math.random() * addresses.length);

  /** Where the next client goes, or one that leaves a server. */
  function addressFor(left: Connection | undefined): string {
    const index = left === undefined ? clients++ : addresses.indexOf(left.address) + 1;
    return addresses[index % addresses.length] as string;
  }

  return {
    address: addresses.join(","),
    servers: addresses.length,
    acquire(left) {
      const address = addressFor(left);
      for (const connection of open) {
        if (connection.address === address && connection.clients < clientsPerConnection) {
          connection.clients++;
          connection.hold();
          return connection;
        }
      }
      const channel = createChannel(address, channelCredentials, channelOptions);
      const connection = new PooledConnection(channel, address, () => open.delete(connection));
      connection.clients = 1;
      open.add(connection);
      connection.hold();
      return connection;
    },
  };
}

function addressesIn(address: TransportOptions["address"]): string[] {
  const parts = typeof address === "string" ? address.split(",") : address;
  const addresses = new Set(parts.map((part) => part.trim()).filter((part) => part !== ""));
  if (addresses.size === 0) throw new TypeError("connect needs an address or a transport");
  return [...addresses];
}

class PooledConnection implements Connection {
  readonly channel: Channel;
  readonly address: string;
  /** Clients that acquired it, whether or not they still hold it: it is not refilled. */
  clients = 0;
  readonly #leavePool: () => void;
  #holders = 0;

  constructor(channel: Channel, address: string, leavePool: () => void) {
    this.channel = channel;
    this.address = address;
    this.#leavePool = leavePool;
  }

  retire(): void {
    this.#leavePool();
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders > 0) return;
    this.#leavePool();
    this.channel.close();
  }
}
