/**
 * A floor: a server of bare grpc-js that makes the writes a chat makes, and
 * nothing else. Nothing is decoded, checked or kept.
 *
 * `node streams.ts MODE`, where MODE is what one message brings about:
 * `group`: the answer, and an event to every stream. `busy-group`: the same,
 * with what comes in one turn of the event loop in one write per stream.
 * `direct`: the answer with the sender's own event, and the event to one other.
 */

import {
  type handleBidiStreamingCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import { paths } from "../load/calls.ts";
import { same } from "./pass-through.ts";
import { event, opened, reply } from "./wire.ts";

type Call = ServerDuplexStream<Buffer, Buffer>;

const calls: Call[] = [];
const replyAndEvent = Buffer.concat([reply, event]);
let waiting: Buffer[] = [];

const onMessage: Record<string, (call: Call, number: number) => void> = {
  group(call) {
    call.write(reply);
    for (const each of calls) each.write(event);
  },
  "busy-group"(call) {
    call.write(reply);
    if (waiting.push(event) > 1) return;
    setImmediate(() => {
      const events = Buffer.concat(waiting);
      waiting = [];
      for (const each of calls) each.write(events);
    });
  },
  direct(call, number) {
    call.write(replyAndEvent);
    calls[(number + 1) % calls.length]?.write(event);
  },
};

const mode = process.argv[2] ?? "";
const send = onMessage[mode];
if (send === undefined) throw new Error(`${mode} is none of ${Object.keys(onMessage).join(", ")}`);

const stream: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  const number = calls.push(call) - 1;
  let open = false;
  call.on("data", () => {
    if (open) return send(call, number);
    open = true;
    call.write(opened);
  });
  call.on("error", () => {});
  call.on("end", () => call.end());
};

const server = new Server();
server.register(paths.stream, stream, same, same, "bidi");
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`listens on 127.0.0.1:${port}\n`);
});
