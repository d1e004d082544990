import type { BusMessage } from "../bus/bus.ts";
import type { Delivery } from "./delivery.ts";
import type { Logouts } from "./logouts.ts";
import type { Presences } from "./presences.ts";
import { endReplaced } from "./session-endings.ts";
import type { Sessions } from "./sessions.ts";
import type { Tail } from "./tail.ts";

/** The parts that handle the messages of the bus. */
export interface ReceiverParts {
  tail: Tail;
  delivery: Delivery;
  sessions: Sessions;
  logouts: Logouts;
  presences: Presences;
}

/** Takes a message of the bus, and returns what is to be answered to the node that asked. */
export type Receive = (message: BusMessage) => BusMessage | undefined;

/** Makes what hands the messages of the bus to whom they concern. Kinds that it does not know it passes over. */
export function createReceiver(parts: ReceiverParts): Receive {
  return (message) => {
    switch (message.type) {
      case "log":
        parts.tail.accept(message);
        return undefined;
      case "notice":
        parts.tail.notice(message);
        return undefined;
      case "ephemeral":
        parts.delivery.deliverEphemeral(message);
        return undefined;
      case "opened":
        for (const session of parts.sessions.of(message.userId, message.deviceId))
          if (session.opens < message.opens) endReplaced(session);
        return undefined;
      case "logout":
        parts.logouts.accept(message);
        return undefined;
      case "presenceQuery":
        parts.presences.answer(message.userIds);
        // A node that asks on a user's subject waits for this one.
        return parts.presences.messageOf(message.userIds[0] ?? "");
      default:
        return undefined;
    }
  };
}
