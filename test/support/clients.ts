import type { DescService } from "@bufbuild/protobuf";
import { type Channel, type Client, createClient, Metadata } from "nice-grpc";
import { type RpcDefinition, toDefinition } from "../../wire/definition.ts";
import { type Services, services } from "../../wire/services.ts";
import { TestStream } from "./test-stream.ts";

type ClientOf<Service extends DescService> = Client<RpcDefinition<Service>>;

/** Makes a client that sends this metadata with every call. */
export function clientOf<Service extends DescService>(
  service: Service,
  channel: Channel,
  metadata: Record<string, string>,
): ClientOf<Service> {
  const options = { "*": { metadata: Metadata(metadata) } };
  return createClient(toDefinition(service), channel, options) as ClientOf<Service>;
}

type ServiceClients = { [Key in keyof Services]: ClientOf<Services[Key]> };

/** Clients of all services of the chat. */
export interface Clients extends ServiceClients {
  /** Opens a `Stream`; the first request is sent only when asked. */
  stream: () => TestStream;
}

/** Makes clients of all services that send this metadata with every call. */
export function clientsOf(channel: Channel, metadata: Record<string, string>): Clients {
  const names = Object.keys(services) as (keyof Services)[];
  const clients = Object.fromEntries(
    names.map((name) => [name, clientOf(services[name] as DescService, channel, metadata)]),
  ) as unknown as ServiceClients;
  return {
    ...clients,
    stream: () => new TestStream((requests, signal) => clients.chat.stream(requests, { signal })),
  };
}
