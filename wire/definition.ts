import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type MethodDefinition, ServerError, Status } from "nice-grpc";

/**
 * Stands in the place of a request whose bytes are not a Protobuf
 * message of its type. grpc-js would end such a call as 13 INTERNAL, as if the
 * server were at fault; so decoding never throws, and whoever wraps the
 * handlers refuses this with INVALID_ARGUMENT. Types do not show it: check
 * every request before a handler sees it.
 */
export class Undecodable {
  /** Says in English what is wrong with the bytes, without repeating them. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Ends a call that wraps no handlers of the chat, when its request is `Undecodable`. */
export function refuseUndecodable(request: unknown): void {
  if (request instanceof Undecodable) throw new ServerError(Status.INVALID_ARGUMENT, request.text);
}

type Streams = {
  unary: [request: false, response: false];
  server_streaming: [request: false, response: true];
  client_streaming: [request: true, response: false];
  bidi_streaming: [request: true, response: true];
};

type RpcMethod<Method extends Pick<DescMethod, "input" | "output" | "methodKind">> = MethodDefinition<
  MessageInitShape<Method["input"]>,
  MessageShape<Method["input"]>,
  MessageInitShape<Method["output"]> | Uint8Array,
  MessageShape<Method["output"]>,
  Streams[Method["methodKind"]][0],
  Streams[Method["methodKind"]][1]
>;

/**
 * The nice-grpc definition of a generated service. Handlers get messages and
 * return messages, plain objects of their shape, or a `Uint8Array` that already
 * is the encoded response; clients send messages or plain objects.
 */
export type RpcDefinition<Service extends Pick<DescService, "typeName" | "methods" | "method">> = {
  [Name in keyof Service["method"]]: RpcMethod<Service["method"][Name]>;
};

/** Turns a generated service into a definition for nice-grpc, for servers and clients alike. */
export function toDefinition<Service extends Pick<DescService, "typeName" | "methods" | "method">>(
  service: Service,
): RpcDefinition<Service> {
  const methods = service.methods.map((method) => [method.localName, toMethod(service.typeName, method)]);
  return Object.fromEntries(methods);
}

function toMethod(typeName: string, method: DescMethod): RpcMethod<DescMethod> {
  const { input, output, methodKind } = method;
  return {
    path: `/${typeName}/${method.name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: (request) => encode(input, request),
    requestDeserialize: (bytes) => decodeRequest(input, bytes),
    responseSerialize: (response) => (response instanceof Uint8Array ? response : encode(output, response)),
    responseDeserialize: (bytes) => fromBinary(output, plain(bytes)),
    options: idempotencyOf(method),
  };
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, message));
}

/** Drops unknown fields: 60 KB of them would otherwise keep 3 MB of heap. */
function decodeRequest<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, plain(bytes), { readUnknownFields: false });
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return new Undecodable(`not a ${schema.typeName}: ${cause}`) as unknown as MessageShape<Desc>;
  }
}

/** grpc-js hands out `Buffer`s; out of one, `bytes` fields would be `Buffer`s too, whose `slice` does not copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function idempotencyOf(method: DescMethod): MethodDefinition<never, never, never, never>["options"] {
  switch (method.idempotency) {
    case MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS:
      return { idempotencyLevel: "NO_SIDE_EFFECTS" };
    case MethodOptions_IdempotencyLevel.IDEMPOTENT:
      return { idempotencyLevel: "IDEMPOTENT" };
    default:
      return {};
  }
}
