/** A client process with one open stream: `node presence-client.ts <address> <user> [<token>]`. It lives until it is killed. */

import { connect, logIn } from "../support/connect.ts";

const [, , address = "", userId = "", given] = process.argv;
const token = given ?? (await logIn(address, [userId]))[0];
const stream = connect(address, token).stream();
await stream.open();
await stream.next("caughtUp");
process.stdout.write("open\n");
await stream.ended;
