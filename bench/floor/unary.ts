/**
 * A floor: a server of bare nice-grpc that answers each `SendDirect` with bytes
 * of the usual size. Nothing is decoded, checked or kept.
 */

import { createServer } from "nice-grpc";
import { paths } from "../load/calls.ts";
import { same } from "./pass-through.ts";
import { reply } from "./wire.ts";

const definition = {
  sendDirect: {
    path: paths.sendDirect,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
    options: {},
  },
} as const;

const server = createServer();
server.add(definition, { sendDirect: async () => reply });
const port = await server.listen("127.0.0.1:0");
process.stdout.write(`listens on 127.0.0.1:${port}\n`);
