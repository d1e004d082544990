/** Calls whose bytes are made by hand, and what they are answered. */

import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { Status } from "nice-grpc";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { readErrorDetails, statusDetailsKey } from "../../wire/error-details.ts";
import type { Failure } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";

const asIs = (bytes: Uint8Array) => Buffer.from(bytes);

/** A client that sends the bytes it is given as requests. */
export interface RawClient {
  /** Makes a call with one request: how it failed, or undefined when it did not. */
  unary: (path: string, request: Uint8Array) => Promise<Failure | undefined>;
  /** Opens a `Stream`. */
  stream: () => RawStream;
  close: () => void;
}

/** A `Stream` whose requests are bytes. */
export interface RawStream {
  events: ServerEvent[];
  send: (request: Uint8Array) => void;
  /** How it ended; undefined while it goes on or when it ended well. */
  failure: () => Failure | undefined;
  /** Waits until so many events were received. */
  received: (count: number) => Promise<void>;
  cancel: () => void;
}

/** Makes a client that sends this metadata with every call. */
export function createRawClient(address: string, headers: Record<string, string>): RawClient {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.max_send_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,
  });
  const metadata = () => Metadata.fromHttp2Headers(headers);

  return {
    unary: (path, request) =>
      new Promise((resolve) => {
        client.makeUnaryRequest(path, asIs, asIs, request, metadata(), (error) =>
          resolve(error === null ? undefined : toFailure(error)),
        );
      }),

    stream() {
      const events: ServerEvent[] = [];
      let failure: Failure | undefined;
      const call = client.makeBidiStreamRequest(
        "/parlance.chat.v1.ChatService/Stream",
        asIs,
        asIs,
        metadata(),
      );
      call.on("data", (bytes: Buffer) => events.push(...fromBinary(StreamResponseSchema, bytes).events));
      call.on("error", (error) => {
        failure = toFailure(error as ServiceError);
      });
      return {
        events,
        send: (request) => void call.write(request),
        failure: () => failure,
        received: (count) => eventually(() => events.length >= count),
        cancel: () => call.cancel(),
      };
    },

    close: () => client.close(),
  };
}

/** Encodes a message. */
export function encode<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, message));
}

function toFailure({ code, details, metadata }: ServiceError): Failure {
  const [status] = metadata?.get(statusDetailsKey) ?? [];
  const source = status instanceof Uint8Array ? status : undefined;
  return { code: Status[code] as string, message: details, ...readErrorDetails(source) };
}
