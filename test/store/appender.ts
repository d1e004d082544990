/** Appends without end and prints each answered position and body, until it is killed. */

import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { printLine } from "../support/print-line.ts";

const [path, round] = process.argv.slice(2) as [string, string];
const store = await createSqliteStore({ path });

for (let user = 0; user < 20; user++) {
  void (async () => {
    for (let n = 0; ; n++) {
      const text = `${round} ${user} ${n}`;
      const { position, seq } = await store.append({
        conversationId: `d:a:${user % 5}`,
        senderId: "a",
        recipientId: String(user % 5),
        clientMessageId: text,
        body: new TextEncoder().encode(text),
      });
      printLine(`${position}\t${seq}\t${text}`);
    }
  })();
}
