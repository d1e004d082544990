/** Engine.IO 4 and Socket.IO 5 over WebSocket, without the long polling that browsers start with. */

import { type Client, type ConnectOptions, type Protocol, text } from "./client.ts";
import { Waiting } from "./waiting.ts";
import { connectWebSocket, Opcode } from "./websocket.ts";

/** What packets of both protocols begin with, as they are told apart by one or two digits. */
const Prefix = { PING: 0x32, PONG: "3", CONNECT: "40", EVENT: "42" } as const;
const messageDigit = 0x34;
const Digit = { CONNECT: 0x30, EVENT: 0x32, ACK: 0x33, REFUSED: 0x34 } as const;
/** The ids of acknowledgements: those of messages, and those that are waited for. */
const AckId = { MESSAGE: "1", JOIN: "2" } as const;

/** Socket.IO: groups and users are rooms of its server, which acknowledges each message. */
export const socketIo: Protocol = {
  answers: () => true,

  async connect({ port, user, listener }: ConnectOptions): Promise<Client> {
    const replies = new Waiting();
    let received = 0;
    let answered = 0;
    const socket = await connectWebSocket({
      port,
      path: "/socket.io/?EIO=4&transport=websocket",
      onFrame,
      onBatchEnd() {
        if (received > 0) listener.received(user, received);
        if (answered > 0) listener.answered(user, answered);
        received = 0;
        answered = 0;
      },
      failed: (why) => listener.failed(`Socket.IO: ${why}`),
    });
    const connected = replies.next();
    write(Prefix.CONNECT);
    await connected;
    await join(`user${user}`);

    return {
      join,
      sendToGroup: send,
      sendTo: (other) => send(`user${other}`),
      close: () => socket.close(),
    };

    async function join(room: string): Promise<void> {
      write(`${Prefix.EVENT}${AckId.JOIN}["join","${room}"]`);
      await replies.next();
    }

    function send(room: string): void {
      write(`${Prefix.EVENT}${AckId.MESSAGE}["send","${room}","${text}"]`);
    }

    function write(packet: string): void {
      socket.send(Opcode.TEXT, Buffer.from(packet));
    }

    function onFrame(payload: Buffer): void {
      if (payload[0] === Prefix.PING) write(Prefix.PONG);
      if (payload[0] !== messageDigit) return;
      switch (payload[1]) {
        case Digit.EVENT:
          received++;
          return;
        case Digit.ACK:
          if (payload[2] === AckId.MESSAGE.charCodeAt(0)) answered++;
          else replies.came();
          return;
        case Digit.CONNECT:
          replies.came();
          return;
        case Digit.REFUSED:
          throw new Error(payload.toString("latin1"));
      }
    }
  },
};
