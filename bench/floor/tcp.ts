/**
 * A floor: for every message an event to every connection, over bare TCP. It
 * is what the sockets of Node and the kernel cost, without HTTP/2 and gRPC.
 */

import { createServer, type Socket } from "node:net";
import { MessageReader } from "../load/message-reader.ts";
import { event, opened, reply } from "./wire.ts";

const sockets: Socket[] = [];

const server = createServer({ noDelay: true }, (socket) => {
  sockets.push(socket);
  let open = false;
  const reader = new MessageReader(() => {
    if (!open) {
      open = true;
      socket.write(prefixed(opened));
      return;
    }
    socket.write(prefixedReply);
    for (const each of sockets) each.write(prefixedEvent);
  });
  socket.on("data", (bytes) => reader.read(bytes, 0, bytes.length));
  socket.on("error", () => {});
});

/** Puts a length before a message, as gRPC does. */
function prefixed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const prefixedReply = prefixed(reply);
const prefixedEvent = prefixed(event);

server.listen(0, "127.0.0.1", 2_048, () => {
  const { port } = server.address() as { port: number };
  process.stdout.write(`listens on 127.0.0.1:${port}\n`);
});
