// In a project of your own: from "parlance/client".
import { connect } from "../clients/typescript/index.ts";

const address = process.argv[2] ?? "127.0.0.1:50051";
const alice = await connect({ address, credentials: { devUserId: "alice" } });
const bob = await connect({ address, credentials: { devUserId: "bob" } });
await alice.sendDirect("bob", "Hello, Bob!");
for await (const { case: kind, value } of bob.events()) {
  if (kind !== "message" || value.content?.kind.case !== "text") continue;
  console.log(`${value.senderId}: ${value.content.kind.value.body}`);
  await bob.close();
}
await alice.close();
