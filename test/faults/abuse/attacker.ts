/**
 * The program that carries an attack out. It does as it is told by lines, to prepare, to begin and to end, and answers
 * each with a line: when it has prepared, when its first request was answered or refused, and with what it did.
 */

import { createInterface } from "node:readline";
import { connect } from "../../support/connect.ts";
import { createRandom } from "../../support/random.ts";
import type { Target } from "./attack.ts";
import { attacks } from "./attacks.ts";

const [name = "", address = "", httpAddress = "", seed = "0"] = process.argv.slice(2);
const attack = attacks.find((each) => each.name === name);
if (attack === undefined) throw new Error(`${name} is no attack`);

let going = false;
const over = new AbortController();
const closers: (() => void)[] = [];
const target: Target = {
  address,
  httpAddress,
  random: createRandom(Number(seed), name),
  signal: over.signal,
  going() {
    if (!going) process.stdout.write("going\n");
    going = true;
  },
  connect(token) {
    const connection = connect(address, token);
    closers.push(connection.close);
    return connection;
  },
};

const orders = createInterface(process.stdin)[Symbol.asyncIterator]();
await orders.next();
await attack.prepare?.(target);
process.stdout.write("prepared\n");
await orders.next();
const running = attack.run(target);
await Promise.race([orders.next(), running]);
over.abort();
const report = await running;
target.going();
for (const close of closers) close();
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit());
