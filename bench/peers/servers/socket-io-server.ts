/** A chat of the least code on Socket.IO, which is loaded from the folder where it was installed. */

import { createServer } from "node:http";
import { createRequire } from "node:module";

/** What is used of Socket.IO. */
interface SocketIo {
  Server: new (server: ReturnType<typeof createServer>, options: object) => ServerSide;
}

interface ServerSide {
  engine: { on(event: "connection", listener: (rawSocket: { request: unknown }) => void): void };
  on(event: "connection", listener: (socket: Connection) => void): void;
  to(room: string): { emit(event: string, text: string): void };
}

interface Connection {
  on(event: "join", listener: (room: string, acknowledge: () => void) => void): void;
  on(event: "send", listener: (room: string, text: string, acknowledge: () => void) => void): void;
  join(room: string): void;
}

const [port, installedIn = ""] = process.argv.slice(2);
const { Server } = createRequire(`${installedIn}/`)("socket.io") as SocketIo;
const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.engine.on("connection", (rawSocket) => {
  rawSocket.request = null;
});
io.on("connection", (socket) => {
  socket.on("join", (room, acknowledge) => {
    socket.join(room);
    acknowledge();
  });
  socket.on("send", (room, text, acknowledge) => {
    io.to(room).emit("message", text);
    acknowledge();
  });
});
http.listen(Number(port), "127.0.0.1");
