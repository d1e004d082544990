import type { Client } from "../clients/client.ts";
import { protocols } from "../clients/protocols.ts";
import type { Order } from "./orders.ts";
import type { Tally } from "./tally.ts";

/** How many connect at a time: fewer than a backlog of connections takes. */
const atOnce = 20;

/** Connects users and resolves with their clients, in order, once each is ready. */
export async function openClients(
  { protocol, port, durable, users, firstUser }: Order,
  tally: Tally,
  ready: (client: Client) => Promise<void> = async () => {},
): Promise<Client[]> {
  const clients: Client[] = [];
  const numbers = Array.from({ length: users }, (_, i) => i).values();
  async function openSome(): Promise<void> {
    for (const i of numbers) {
      const client = await protocols[protocol].connect({
        port,
        user: firstUser + i,
        durable,
        listener: tally,
      });
      clients[i] = client;
      await ready(client);
    }
  }
  await tally.during(Promise.all(Array.from({ length: atOnce }, openSome)));
  return clients;
}
