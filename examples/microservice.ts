/**
 * A shop's order service with a chat inside: one process, one port. Customers
 * place orders by its own gRPC service, and hear of them, and talk to each
 * other, by Parlance's.
 *
 *     node examples/microservice.ts [PORT [DATA_FILE]]
 */

import { pathToFileURL } from "node:url";
import { createServer, type MethodDefinition, ServerError, type ServiceImplementation } from "nice-grpc";
// In a project of your own: from "parlance".
import { ChatError, createParlance, statusOf, text } from "../src/index.ts";

/** An order, as the customer's app sends it. */
export interface PlaceOrderRequest {
  /** Chosen by the app, so that an order can be repeated safely. */
  orderId: string;
  customerId: string;
  item: string;
}

/** The order was taken. */
export interface PlaceOrderResponse {
  orderId: string;
  /** The message that told the customer so. */
  messageId: string;
}

/** The host's own service, here with JSON on the wire; one generated from a `.proto` is mounted just the same. */
export const OrderService = {
  placeOrder: {
    path: "/shop.v1.OrderService/PlaceOrder",
    requestStream: false,
    responseStream: false,
    ...json<"request", PlaceOrderRequest>("request"),
    ...json<"response", PlaceOrderResponse>("response"),
    options: {},
  } satisfies MethodDefinition<PlaceOrderRequest, PlaceOrderRequest, PlaceOrderResponse, PlaceOrderResponse>,
} as const;

/** Starts the microservice. `dataFile` is where the chat keeps everything; port 0 takes any free one. */
export async function startMicroservice({ port, dataFile }: { port: number; dataFile: string }) {
  // In `dev` mode everyone is believed, which is for one machine only. In production: auth: { secret }.
  const parlance = await createParlance({ store: dataFile, auth: "dev" });

  const orders: ServiceImplementation<typeof OrderService> = {
    async placeOrder({ orderId, customerId, item }) {
      // … keep the order …
      const message = {
        recipientId: customerId,
        content: text(`Your order ${orderId} of ${item} is on its way.`),
        // The same order again has no second message.
        clientMessageId: `order ${orderId}`,
      };
      const { messageId } = await parlance.chat.sendDirect("shop", message).catch(refuse);
      return { orderId, messageId };
    },
  };

  const server = createServer(parlance.serverOptions);
  parlance.mount(server);
  server.add(OrderService, orders);
  const address = `127.0.0.1:${await server.listen(`127.0.0.1:${port}`)}`;

  return {
    address,
    parlance,
    /** Sends sessions away, answers what is under way, then closes everything. */
    close: () => parlance.shutdown(server, 2_000),
  };
}

/** Tells the caller what the chat has against their request; any other error is the service's own. */
function refuse(error: unknown): never {
  if (error instanceof ChatError) throw new ServerError(statusOf[error.reason], error.message);
  throw error;
}

/** The two functions of a method definition that write and read one kind of message, as JSON. */
function json<Kind extends "request" | "response", Message>(kind: Kind) {
  return {
    [`${kind}Serialize`]: (message: Message) => Buffer.from(JSON.stringify(message)),
    [`${kind}Deserialize`]: (bytes: Uint8Array): Message => JSON.parse(Buffer.from(bytes).toString()),
  } as Record<`${Kind}Serialize`, (message: Message) => Uint8Array> &
    Record<`${Kind}Deserialize`, (bytes: Uint8Array) => Message>;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [port = "50052", dataFile = "./data/microservice.db"] = process.argv.slice(2);
  const service = await startMicroservice({ port: Number(port), dataFile });
  console.log(`The order service and its chat listen on ${service.address}. Stop them with Ctrl-C.`);
  process.once("SIGINT", () => service.close());
}
