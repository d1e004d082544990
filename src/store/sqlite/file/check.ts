import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fromBinary } from "@bufbuild/protobuf";
import { GroupSchema, MembershipChangedSchema } from "../../../../gen/parlance/chat/v1/group_pb.js";
import { ChatMessageSchema } from "../../../../gen/parlance/chat/v1/message_pb.js";
import { fieldOf } from "../../../../wire/event-field.ts";
import { EventKind, type LogEvent } from "../../../../wire/log-event.ts";
import { Role } from "../../../model/records.ts";
import type { AudienceColumns } from "../../../rules/audience.ts";
import { checksumOf } from "./checksum.ts";
import { damageIn } from "./log-damage.ts";

/** The outcome of one rule. */
export interface CheckResult {
  /** The rule, as a sentence that should be true. */
  rule: string;
  /** The places that break it, at most {@link maxProblems}; none when it holds. */
  problems: string[];
}

/** An event as its row has it. */
interface Row extends Omit<LogEvent, "audience">, Partial<AudienceColumns> {
  conversation: number;
  clientMessageId: string | null;
  /** Of events of earlier releases there is none. */
  checksum: number | null;
}

/** The most problems told of one rule. */
export const maxProblems = 20;

/** Rules that one query each can check: it selects what breaks them, as one column of text. */
const queries: ReadonlyArray<[rule: string, sql: string]> = [
  [
    "the seqs of each conversation are 1, 2, 3, … without gaps",
    `SELECT c.conversation_id || ' has ' || count(*) || ' events, seqs ' || min(e.seq) || ' to ' || max(e.seq)
     FROM events e JOIN conversations c ON c.key = e.conversation
     GROUP BY e.conversation HAVING min(e.seq) <> 1 OR max(e.seq) <> count(*)`,
  ],
  [
    "the positions of the log are 1, 2, 3, … without gaps",
    `SELECT count(*) || ' events have the positions ' || min(position) || ' to ' || max(position)
     FROM events HAVING max(position) <> count(*)`,
  ],
  [
    "every event belongs to a conversation",
    "SELECT 'position ' || position FROM events WHERE conversation NOT IN (SELECT key FROM conversations)",
  ],
  [
    "positions rise with seqs, and acceptance times never fall",
    `SELECT 'conversation ' || conversation || ' at seq ' || seq FROM (
       SELECT conversation, seq, position, accept_time_ms,
         lag(position, 1, 0) OVER w AS before, lag(accept_time_ms, 1, 0) OVER w AS time_before
       FROM events WINDOW w AS (PARTITION BY conversation ORDER BY seq)
     ) WHERE position <= before OR accept_time_ms < time_before`,
  ],
  [
    "each group counts its members right",
    `SELECT group_id || ' says ' || member_count || ', has ' ||
       (SELECT count(*) FROM members m WHERE m.conversation = g.conversation)
     FROM groups g WHERE disband_time_ms IS NULL
       AND member_count <> (SELECT count(*) FROM members m WHERE m.conversation = g.conversation)`,
  ],
  [
    "each group has one owner, the one it names",
    `SELECT group_id FROM groups g WHERE disband_time_ms IS NULL AND (
       SELECT count(*) FROM members m WHERE m.conversation = g.conversation AND m.role = ${Role.OWNER}
     ) <> 1 OR disband_time_ms IS NULL AND NOT EXISTS (
       SELECT 1 FROM members m
       WHERE m.conversation = g.conversation AND m.user_id = g.owner_id AND m.role = ${Role.OWNER})`,
  ],
  [
    "a disbanded group has no members",
    `SELECT group_id FROM groups g WHERE disband_time_ms IS NOT NULL
       AND EXISTS (SELECT 1 FROM members m WHERE m.conversation = g.conversation)`,
  ],
  [
    "no member is ahead of the conversation",
    `SELECT m.user_id || ' in conversation ' || m.conversation FROM members m
     WHERE max(m.read_seq, m.join_seq, m.visible_from_seq) >
       (SELECT ifnull(max(seq), 0) FROM events e WHERE e.conversation = m.conversation)
       OR m.visible_from_seq > m.join_seq`,
  ],
  [
    "past stays lie within the log",
    `SELECT s.user_id || ' in conversation ' || s.conversation FROM past_stays s
     LEFT JOIN events e ON e.conversation = s.conversation AND e.seq = s.to_seq
     WHERE s.from_seq > s.to_seq OR e.position IS NOT s.to_position`,
  ],
  [
    "no cursor is ahead of the log",
    `SELECT user_id || ' on ' || device_id FROM devices
     WHERE position > (SELECT ifnull(max(position), 0) FROM events)`,
  ],
];

const soundFile = "the file and its indexes are sound";

/**
 * Checks that a store keeps its rules, also while a server uses it: that of
 * SQLite itself, those of its tables, and that every event can be decoded and
 * is what its row and its checksum say. A file that is too damaged to be read
 * breaks the first rule.
 *
 * @throws Error when there is no such file, or it is none of a store
 */
export function checkStore(path: string): CheckResult[] {
  if (!existsSync(path)) throw new Error(`there is no file ${path}`);
  const log = { rule: "the write-ahead log is whole", problems: damageIn(path) };
  try {
    return [log, ...checkTables(path)];
  } catch (error) {
    if (!isDamage(error)) throw error;
    return [log, { rule: soundFile, problems: [`it cannot be read: ${(error as Error).message}`] }];
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, https://sqlite.org/rescode.html. */
function isDamage(error: unknown): boolean {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" && [11, 26].includes(errcode & 0xff);
}

function checkTables(path: string): CheckResult[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    // One snapshot for all rules.
    database.exec("BEGIN");
    const results: CheckResult[] = [{ rule: soundFile, problems: integrityProblems(database) }];
    for (const [rule, sql] of queries) {
      const rows = database.prepare(`SELECT * FROM (${sql}) LIMIT ${maxProblems}`).all();
      results.push({ rule, problems: rows.map((row) => String(Object.values(row)[0])) });
    }
    results.push({ rule: "every event is what its row says", problems: bodyProblems(database) });
    return results;
  } finally {
    database.close();
  }
}

function integrityProblems(database: DatabaseSync): string[] {
  const integrity = database.prepare(`PRAGMA integrity_check(${maxProblems})`).all();
  const references = database.prepare("PRAGMA foreign_key_check").all();
  return [
    ...integrity.map((row) => String(row["integrity_check"])).filter((text) => text !== "ok"),
    ...references.slice(0, maxProblems).map((row) => `a row of ${row["table"]} points nowhere`),
  ];
}

function bodyProblems(database: DatabaseSync): string[] {
  const problems: string[] = [];
  // Some came with later releases.
  const columns = new Set(
    database
      .prepare("SELECT name FROM pragma_table_info('events')")
      .all()
      .map(({ name }) => String(name)),
  );
  const rows = database.prepare(`
    SELECT e.position, c.conversation_id AS conversationId, e.conversation, e.seq, e.kind, e.sender_id AS senderId,
      e.client_message_id AS clientMessageId, e.accept_time_ms AS acceptTimeMs, e.body,
      ${columns.has("checksum") ? "e.checksum" : "NULL AS checksum"},
      ${columns.has("about_seq") ? "e.about_seq AS aboutSeq, e.only_user_ids AS onlyUserIds" : "NULL AS aboutSeq"}
    FROM events e JOIN conversations c ON c.key = e.conversation ORDER BY e.position
  `);
  for (const row of rows.iterate()) {
    const event = row as unknown as Row;
    const problem = bodyProblem(event);
    if (problem !== undefined) problems.push(`position ${event.position}: ${problem}`);
    if (problems.length === maxProblems) break;
  }
  return problems;
}

function bodyProblem(event: Row): string | undefined {
  try {
    if (event.kind === EventKind.MESSAGE) {
      const { conversationId, senderId, clientMessageId } = fromBinary(ChatMessageSchema, event.body);
      if (clientMessageId !== (event.clientMessageId ?? ""))
        return "a message with another client message id than its row says";
      if (conversationId !== event.conversationId)
        return `a message of ${conversationId}, not ${event.conversationId}`;
      return senderId === event.senderId
        ? checksumProblem(event)
        : `a message of another sender than its row says`;
    }
    if (event.kind !== EventKind.GROUP && event.kind !== EventKind.MEMBERSHIP) {
      // Of a later release: what its field says is not known here.
      return fieldOf(event.kind, event.body) === undefined
        ? `of kind ${event.kind}, and not one field`
        : checksumProblem(event);
    }
    const schema = event.kind === EventKind.GROUP ? GroupSchema : MembershipChangedSchema;
    const { conversationId, seq } = fromBinary(schema, event.body);
    if (conversationId !== event.conversationId)
      return `a change of ${conversationId}, not ${event.conversationId}`;
    return Number(seq) === event.seq ? checksumProblem(event) : `says it has seq ${seq}, has ${event.seq}`;
  } catch (error) {
    return `cannot be decoded: ${(error as Error).message}`;
  }
}

function checksumProblem(event: Row): string | undefined {
  return event.checksum === null || event.checksum === checksumOf(event)
    ? undefined
    : "is not what was stored: its checksum differs";
}
