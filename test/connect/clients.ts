/** Clients of the HTTP port in every protocol. */

import { create, type MessageShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { createConnectTransport as createFetchTransport } from "@connectrpc/connect-web";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { fromJsonForm, jsonOptions, toJsonForm } from "../../src/rpc/connect/json.ts";
import { jsonMethodOf } from "../../src/rpc/connect/json-schemas.ts";
import { readErrorDetails } from "../../wire/error-details.ts";
import { type Services, services } from "../../wire/services.ts";
import type { Failure } from "../support/errors.ts";

/** The ways to call the HTTP port, each with whether it can stream both ways. */
export const ways = {
  gRPC: { both: true },
  "gRPC, JSON": { both: true },
  "gRPC-Web over HTTP/1.1": { both: false },
  "gRPC-Web over HTTP/2": { both: true },
  "Connect over HTTP/1.1": { both: false },
  "Connect over HTTP/2": { both: true },
  "Connect, JSON, over HTTP/1.1": { both: false },
  "Connect, JSON, over HTTP/2": { both: true },
  "Connect by fetch, as browsers do": { both: false },
} as const;

/** The name of a way. */
export type Way = keyof typeof ways;

type ServiceClients = { [Key in keyof Services]: Client<Services[Key]> };

/** Clients of all services that send one token. */
export interface HttpClients extends ServiceClients {
  close: () => void;
}

/** Makes clients that call in one way. */
export function httpClients(way: Way, address: string, headers: Record<string, string> = {}): HttpClients {
  const sessions = new Http2SessionManager(`http://${address}`);
  const plain = transportOf(way, `http://${address}`, sessions, headers);
  const transport = way.includes("JSON") ? opaque(plain) : plain;
  const names = Object.keys(services) as (keyof Services)[];
  const clients = Object.fromEntries(names.map((name) => [name, createClient(services[name], transport)]));
  return { ...(clients as unknown as ServiceClients), close: () => sessions.abort() };
}

function transportOf(
  way: Way,
  baseUrl: string,
  sessionManager: Http2SessionManager,
  headers: Record<string, string>,
): Transport {
  const common = {
    baseUrl,
    useBinaryFormat: !way.includes("JSON"),
    jsonOptions,
    interceptors: [
      (next) => (request) => {
        for (const [key, value] of Object.entries(headers)) request.header.set(key, value);
        return next(request);
      },
    ],
  } satisfies Partial<Parameters<typeof createGrpcTransport>[0]>;
  if (way.startsWith("gRPC-Web"))
    return way.endsWith("/2")
      ? createGrpcWebTransport({ ...common, httpVersion: "2", sessionManager })
      : createGrpcWebTransport({ ...common, httpVersion: "1.1" });
  if (way.startsWith("gRPC")) return createGrpcTransport({ ...common, sessionManager });
  if (way.includes("fetch")) return createFetchTransport(common);
  return way.endsWith("/2")
    ? createConnectTransport({ ...common, httpVersion: "2", sessionManager })
    : createConnectTransport({ ...common, httpVersion: "1.1" });
}

/** Has a transport write and read what is in an `Any` as the server does: unopened. */
function opaque({ unary, stream }: Transport): Transport {
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const { input: schema, output } = method;
      const request = toJsonForm(schema, create(schema, input)) as never;
      const inJson = jsonMethodOf(method) as typeof method;
      const answer = await unary(inJson, signal, timeoutMs, header, request, contextValues);
      fromJsonForm(inJson.output, answer.message);
      return { ...answer, method, message: answer.message as MessageShape<typeof output> };
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const { input: schema, output } = method;
      const inJson = jsonMethodOf(method) as typeof method;
      const requests = mapped(input, (init) => toJsonForm(schema, create(schema, init)) as never);
      const answer = await stream(inJson, signal, timeoutMs, header, requests, contextValues);
      const message = mapped(answer.message, (each) => fromJsonForm(inJson.output, each));
      return { ...answer, method, message: message as AsyncIterable<MessageShape<typeof output>> };
    },
  };
}

async function* mapped<In, Out>(items: AsyncIterable<In>, change: (item: In) => Out): AsyncGenerator<Out> {
  for await (const item of items) yield change(item);
}

/** Makes a call that has to fail and returns what its caller learns, as `failureOf` does for gRPC; an ended stream counts as a call. */
export async function connectFailureOf(call: () => unknown): Promise<Failure> {
  try {
    const result = await call();
    if (typeof result === "object" && result !== null && Symbol.asyncIterator in result)
      for await (const _ of result as AsyncIterable<unknown>);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return connectFailure(error);
  }
  throw new Error("the call did not fail");
}

/** Returns what a caller learns from an error. */
export function connectFailure(error: ConnectError): Failure {
  const details = error.details.flatMap((detail) =>
    "value" in detail && "type" in detail
      ? [{ typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value as Uint8Array }]
      : [],
  );
  const status = create(StatusSchema, { code: error.code, message: error.rawMessage, details });
  return { code: codeNames[error.code], message: error.rawMessage, ...readErrorDetails(status) };
}

const codeNames = Object.fromEntries(
  Object.entries(Code)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => [
      value,
      name === "Canceled" ? "CANCELLED" : name.replaceAll(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase(),
    ]),
) as Record<Code, string>;
