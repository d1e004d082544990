import { WireWriter } from "../../wire/writer.ts";
import type { EventDraft } from "./rule.ts";

const writer = new WireWriter();

/** Returns an event's body as it is stored, once its place is known. The functions of PostgreSQL write the same bytes. */
export function placedBody({ body, placeTags }: EventDraft, seq: number, acceptTimeMs: number): Uint8Array {
  if (placeTags === undefined) return body;
  writer.begin();
  writer.varint(placeTags.seq, seq);
  if (placeTags.acceptTime !== undefined) writer.timestamp(placeTags.acceptTime, acceptTimeMs);
  return new Uint8Array(Buffer.concat([body, writer.finish()]));
}
