/** The program that carries an attack out: it prepares, says so, and attacks from the first line it is sent to the second. */

import { createInterface } from "node:readline";
import { connect } from "../../support/connect.ts";
import { createRandom } from "../../support/random.ts";
import type { Target } from "./attack.ts";
import { attacks } from "./attacks.ts";

const [name = "", address = "", httpAddress = "", seed = "0"] = process.argv.slice(2);
const attack = attacks.find((each) => each.name === name);
if (attack === undefined) throw new Error(`${name} is no attack`);

const over = new AbortController();
const closers: (() => void)[] = [];
const target: Target = {
  address,
  httpAddress,
  random: createRandom(Number(seed), name),
  signal: over.signal,
  connect(token) {
    const connection = connect(address, token);
    closers.push(connection.close);
    return connection;
  },
};

await attack.prepare?.(target);
process.stdout.write("ready\n");
const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
await lines.next();
const running = attack.run(target);
await Promise.race([lines.next(), running]);
over.abort();
const report = await running;
for (const close of closers) close();
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit());
