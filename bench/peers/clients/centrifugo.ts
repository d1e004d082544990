/** Centrifugo's client protocol in Protobuf: commands and replies, each behind its length. */

import { type Client, type ConnectOptions, type Protocol, text } from "./client.ts";
import { Waiting } from "./waiting.ts";
import { connectWebSocket, Opcode } from "./websocket.ts";

/** The fields of commands and replies that are used here. */
const Field = { ID: 1, ERROR: 2, PUSH: 4, CONNECT: 4, SUBSCRIBE: 5, PUBLISH: 7 } as const;
const PublishField = { CHANNEL: 1, DATA: 2 } as const;
const lengthDelimited = 2;
const idTag = Field.ID << 3;
const pushTag = (Field.PUSH << 3) | lengthDelimited;
const errorTag = (Field.ERROR << 3) | lengthDelimited;

/** The text as JSON, which is what Centrifugo carries unless told otherwise. */
const data = Buffer.from(JSON.stringify(text));

/** Replies to requests made before the load have ids below this, replies to messages have it. */
const messageId = 100;

/** Centrifugo: groups and users are channels, and each publication is answered. */
export const centrifugo: Protocol = {
  answers: () => true,

  async connect({ port, user, listener }: ConnectOptions): Promise<Client> {
    const replies = new Waiting();
    let received = 0;
    let answered = 0;
    let lastId = 0;
    const socket = await connectWebSocket({
      port,
      path: "/connection/websocket?cf_protocol=protobuf",
      subprotocol: "centrifuge-protobuf",
      onFrame,
      onBatchEnd() {
        if (received > 0) listener.received(user, received);
        if (answered > 0) listener.answered(user, answered);
        received = 0;
        answered = 0;
      },
      failed: (why) => listener.failed(`Centrifugo: ${why}`),
    });
    await request(Field.CONNECT, Buffer.alloc(0));
    await subscribe(`user${user}`);

    return {
      join: subscribe,
      sendToGroup: publish,
      sendTo: (other) => publish(`user${other}`),
      close: () => socket.close(),
    };

    function subscribe(channel: string): Promise<void> {
      return request(Field.SUBSCRIBE, field(PublishField.CHANNEL, Buffer.from(channel)));
    }

    async function request(method: number, body: Buffer): Promise<void> {
      command(++lastId, method, body);
      await replies.next();
    }

    function publish(channel: string): void {
      const body = [field(PublishField.CHANNEL, Buffer.from(channel)), field(PublishField.DATA, data)];
      command(messageId, Field.PUBLISH, Buffer.concat(body));
    }

    function command(id: number, method: number, body: Buffer): void {
      socket.send(Opcode.BINARY, delimited(Buffer.concat([Buffer.from([idTag, id]), field(method, body)])));
    }

    function onFrame(payload: Buffer): void {
      let at = 0;
      while (at < payload.length) {
        const { value: length, next } = varint(payload, at);
        const tag = payload[next];
        if (length === 0) {
          // A ping is an empty reply, a pong an empty command.
          socket.send(Opcode.BINARY, delimited(Buffer.alloc(0)));
        } else if (tag === pushTag) {
          received++;
        } else if (tag === idTag) {
          const reply = payload.subarray(next, next + length);
          if (reply[2] === errorTag) throw new Error(`refused: ${reply.toString("latin1")}`);
          if (reply[1] === messageId) answered++;
          else replies.came();
        }
        at = next + length;
      }
    }
  },
};

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | lengthDelimited]), delimited(bytes)]);
}

function delimited(bytes: Buffer): Buffer {
  const length: number[] = [];
  for (let left = bytes.length; ; ) {
    const byte = left & 0x7f;
    left >>= 7;
    length.push(left > 0 ? byte | 0x80 : byte);
    if (left === 0) break;
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

function varint(buffer: Buffer, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0, i = at; ; shift += 7, i++) {
    const byte = buffer[i] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: i + 1 };
  }
}
