import type { Channel, ChannelCredentials, ChannelOptions } from "@grpc/grpc-js";
import { createChannel } from "nice-grpc";

/** How to reach a server. */
export interface TransportOptions {
  /** `host:port`, or `https://host:port` for TLS. */
  address: string;
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

/** The connections to one address. Several clients may share it. */
export interface Transport {
  /** Where it leads. */
  readonly address: string;
  /** Returns a connection that is not retired, with room for one more client. */
  acquire(): Connection;
}

/** A channel and who uses it. It closes when it is retired or unused and nobody holds it. */
export interface Connection {
  readonly channel: Channel;
  /** Has nobody acquire it again: it failed, or the server is about to stop. */
  retire(): void;
  /** Adds a holder, for as long as a stream lives on it. */
  hold(): void;
  /** Ends what `Transport.acquire` or `hold` began. */
  release(): void;
}

/** Creates a transport. It opens nothing before a client needs it. */
export function createTransport(options: TransportOptions): Transport {
  const { address, channelCredentials, clientsPerConnection = 1 } = options;
  const channelOptions = { ...defaultOptions, ...options.channelOptions };
  const open = new Set<PooledConnection>();

  return {
    address,
    acquire() {
      for (const connection of open) {
        if (connection.clients < clientsPerConnection) {
          connection.clients++;
          connection.hold();
          return connection;
        }
      }
      const channel = createChannel(address, channelCredentials, channelOptions);
      const connection = new PooledConnection(channel, () => open.delete(connection));
      connection.clients = 1;
      open.add(connection);
      connection.hold();
      return connection;
    },
  };
}

class PooledConnection implements Connection {
  readonly channel: Channel;
  /** Clients that acquired it, whether or not they still hold it: it is not refilled. */
  clients = 0;
  readonly #leavePool: () => void;
  #holders = 0;

  constructor(channel: Channel, leavePool: () => void) {
    this.channel = channel;
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
