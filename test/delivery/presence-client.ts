/** A client process with one open stream: `node presence-client.ts <address> <user>`. It lives until it is killed. */

import { connect, logIn } from "../support/connect.ts";

const [, , address = "", userId = ""] = process.argv;
const [token] = await logIn(address, [userId]);
const stream = connect(address, token).stream();
await stream.open();
process.stdout.write("open\n");
await stream.ended;
