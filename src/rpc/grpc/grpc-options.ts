import type { ChannelOptions } from "@grpc/grpc-js";

/** The limits that protect a gRPC server from careless and hostile peers. grpc-js sets none of them by itself. */
export interface GrpcServerSettings {
  /** Connections at a time. Further ones are closed as soon as they come. Default 50,000. */
  maxConnections?: number;
  /** Calls at a time per connection. More wait at the client. Default 100. */
  maxConcurrentStreams?: number;
  /** The largest request in bytes, compressed or not: what one call can make the server hold. Default 131,072. */
  maxReceiveMessageLength?: number;
  /** How long after the last answer each connection is pinged again, in milliseconds. Default 8,000: with the timeout, a cut cable shows within 15 s. */
  keepaliveTimeMs?: number;
  /** How long a ping may stay unanswered before the connection is closed, in milliseconds. Default 4,000. */
  keepaliveTimeoutMs?: number;
  /** How long a connection may have no call, in milliseconds, so that silent ones go away. Default 300,000. */
  maxConnectionIdleMs?: number;
  /** How old a connection gets, in milliseconds and give or take a tenth, so that clients spread over new nodes. Default 3,600,000. */
  maxConnectionAgeMs?: number;
  /** How long the calls of a connection may go on after that, in milliseconds, before they are cut. Default 60,000. */
  maxConnectionAgeGraceMs?: number;
}

/** Returns the options for grpc-js that these settings mean. */
export function grpcServerOptions(settings: GrpcServerSettings = {}): ChannelOptions {
  return {
    "grpc.max_concurrent_streams": settings.maxConcurrentStreams ?? 100,
    "grpc.max_receive_message_length": settings.maxReceiveMessageLength ?? 131_072,
    "grpc.keepalive_time_ms": settings.keepaliveTimeMs ?? 8_000,
    "grpc.keepalive_timeout_ms": settings.keepaliveTimeoutMs ?? 4_000,
    "grpc.max_connection_idle_ms": settings.maxConnectionIdleMs ?? 300_000,
    "grpc.max_connection_age_ms": settings.maxConnectionAgeMs ?? 3_600_000,
    "grpc.max_connection_age_grace_ms": settings.maxConnectionAgeGraceMs ?? 60_000,
    // Books of every connection and call, which nothing here shows to anybody.
    "grpc.enable_channelz": 0,
  };
}
