/** What an `SdkProcess` runs: `node sdk-process-main.ts ADDRESS USER_ID`. */

import { createInterface } from "node:readline";
import { SdkClient } from "./sdk-client.ts";
import type { Asked, Told } from "./sdk-process.ts";

const [address = "", userId = ""] = process.argv.slice(2);
const client = new SdkClient({ address, userId });
let told = "";

function tell(line: Told): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function tellState(): void {
  const { live, reconnects } = client;
  const state = JSON.stringify({ live, reconnects });
  if (state !== told) tell({ state: { live, reconnects } });
  told = state;
}

client.history.onEntry = () => {
  for (const entry of client.history.entries.splice(0)) tell({ entry });
};
// Ends with whoever started it.
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { number, operation } = JSON.parse(line) as Asked;
    void client.perform(operation).then((done) => tell({ performed: number, done }));
  })
  .on("close", () => process.exit());
await client.start();
tellState();
setInterval(tellState, 100);
