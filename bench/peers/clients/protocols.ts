import { centrifugo } from "./centrifugo.ts";
import type { Protocol } from "./client.ts";
import { mqtt } from "./mqtt.ts";
import { nats } from "./nats.ts";
import { socketIo } from "./socket-io.ts";
import { xmpp } from "./xmpp.ts";

/** The protocols that the load speaks. */
export const protocols = { centrifugo, mqtt, nats, socketIo, xmpp } satisfies Record<string, Protocol>;

/** One of them. */
export type ProtocolName = keyof typeof protocols;
