/** MQTT 3.1.1, as much of it as topics take (docs.oasis-open.org/mqtt/mqtt/v3.1.1). */

import { type Client, type ConnectOptions, type Protocol, text } from "./client.ts";
import { Waiting } from "./waiting.ts";
import { Wire } from "./wire.ts";

const Packet = { CONNECT: 1, CONNACK: 2, PUBLISH: 3, PUBACK: 4, SUBSCRIBE: 8, SUBACK: 9 } as const;
const cleanSession = 0x02;
const maxPacketId = 0xffff;

/** MQTT: groups and users are topics. Durable means QoS 1 and sessions that the broker keeps. */
export const mqtt: Protocol = {
  answers: (durable) => durable,

  async connect({ port, user, durable, listener }: ConnectOptions): Promise<Client> {
    const qos = durable ? 1 : 0;
    const answers = new Waiting();
    const wire = await Wire.connect(port, parse, (why) => listener.failed(`MQTT: ${why}`));
    let lastPacketId = 0;
    const keepAliveSeconds = 0;
    wire.write(
      packet(Packet.CONNECT, 0, [
        string("MQTT"),
        Buffer.from([4, durable ? 0 : cleanSession]),
        uint16(keepAliveSeconds),
        string(`user${user}`),
      ]),
    );
    await answers.next();
    await subscribe(`user/${user}`);

    return {
      join: (group) => subscribe(`group/${group}`),
      sendToGroup: (group) => publish(`group/${group}`),
      sendTo: (other) => publish(`user/${other}`),
      close: () => wire.close(),
    };

    async function subscribe(topic: string): Promise<void> {
      wire.write(packet(Packet.SUBSCRIBE, 2, [uint16(nextPacketId()), string(topic), Buffer.from([qos])]));
      await answers.next();
    }

    function publish(topic: string): void {
      const id = qos === 0 ? [] : [uint16(nextPacketId())];
      wire.write(packet(Packet.PUBLISH, qos << 1, [string(topic), ...id, Buffer.from(text)]));
    }

    function nextPacketId(): number {
      lastPacketId = (lastPacketId % maxPacketId) + 1;
      return lastPacketId;
    }

    function parse(buffer: Buffer): number {
      let at = 0;
      let received = 0;
      let answered = 0;
      for (;;) {
        const body = bodyOf(buffer, at);
        if (body === undefined) break;
        const head = buffer[at] as number;
        switch (head >> 4) {
          case Packet.PUBLISH:
            received++;
            if ((head & 0x06) !== 0) acknowledge(buffer, body.start);
            break;
          case Packet.PUBACK:
            answered++;
            break;
          case Packet.CONNACK:
            if (buffer[body.start + 1] !== 0) throw new Error(`refused with ${buffer[body.start + 1]}`);
            answers.came();
            break;
          case Packet.SUBACK:
            if ((buffer[body.start + 2] as number) >= 0x80) throw new Error("a subscription was refused");
            answers.came();
        }
        at = body.end;
      }
      if (received > 0) listener.received(user, received);
      if (answered > 0) listener.answered(user, answered);
      return at;
    }

    /** Confirms a PUBLISH whose body starts at `start`, with the length of its topic. */
    function acknowledge(buffer: Buffer, start: number): void {
      const idAt = start + 2 + buffer.readUInt16BE(start);
      wire.write(packet(Packet.PUBACK, 0, [uint16(buffer.readUInt16BE(idAt))]));
    }
  },
};

/** Returns where the body of the packet at `at` is, or undefined while it is not there in whole. */
function bodyOf(buffer: Buffer, at: number): { start: number; end: number } | undefined {
  let length = 0;
  let shift = 0;
  for (let i = at + 1; i < buffer.length; i++) {
    const byte = buffer[i] as number;
    length |= (byte & 0x7f) << shift;
    shift += 7;
    if (byte < 0x80)
      return i + 1 + length > buffer.length ? undefined : { start: i + 1, end: i + 1 + length };
  }
  return undefined;
}

function packet(type: number, flags: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = [(type << 4) | flags];
  for (let left = body.length; ; ) {
    const byte = left & 0x7f;
    left >>= 7;
    head.push(left > 0 ? byte | 0x80 : byte);
    if (left === 0) break;
  }
  return Buffer.concat([Buffer.from(head), body]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function string(value: string): Buffer {
  return Buffer.concat([uint16(Buffer.byteLength(value)), Buffer.from(value)]);
}
