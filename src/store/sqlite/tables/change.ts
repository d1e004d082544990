import type { DatabaseSync } from "node:sqlite";
import type { LogEvent } from "../../../../wire/log-event.ts";
import { type ChangeName, type ChangeRequest, ruleOf } from "../../../rules/changes.ts";
import { placedBody } from "../../../rules/place.ts";
import type { EventDraft } from "../../../rules/rule.ts";
import type { Changed } from "../../ports/changes.ts";
import { createRowWrites } from "./changed-rows.ts";
import { createFactReads } from "./facts.ts";
import type { Log } from "./log.ts";

/** Makes the function that carries out changes of conversations inside write transactions. */
export function createChange(database: DatabaseSync, log: Log) {
  const factsOf = createFactReads(database, log);
  const writeRows = createRowWrites(database);

  function append(key: number, conversationId: string, draft: EventDraft): LogEvent {
    const { kind, senderId } = draft;
    const body = placedBody(draft, log.headOf(key) + 1, log.acceptTimeMs);
    const place = log.append(key, kind, senderId, null, body);
    if (place === undefined) throw new Error("an event without client message id was taken for a duplicate");
    return { ...place, conversationId, kind, senderId, body };
  }

  return <N extends ChangeName>(name: N, request: ChangeRequest<N>): Changed<N> => {
    const rule = ruleOf(name);
    const { key: found, ...facts } = factsOf(rule.needs(request));
    const { conversationId, events: drafts, rows, answer } = rule.decide(request, facts);
    if (drafts.length === 0) return { answer: answer(() => 0), events: [] };
    const key = found ?? log.createConversation(conversationId);
    const events = drafts.map((draft) => append(key, conversationId, draft));
    const eventOf = (event: number) => events[event - 1] as LogEvent;
    writeRows(key, rows, eventOf, facts.group === undefined);
    return { answer: answer((event) => eventOf(event).seq), events };
  };
}
