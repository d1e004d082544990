import { v7 as uuidv7 } from "uuid";
import type { Operation } from "./history.ts";
import { bodyMarker } from "./storm.ts";

/** Makes a message to one user, with a body that no other has. */
export function directMessage(recipientId: string): Operation & { f: "send" } {
  const clientMessageId = uuidv7();
  const body = `${bodyMarker} ${clientMessageId}`;
  return { f: "send", to: { recipientId }, clientMessageId, body };
}
